"""WebSockets by PyPI's `websockets`: websocket.py serve PORT [CERT KEY], websocket.py call PORT [CA]; calls print one line each."""

import asyncio
import hashlib
import http
import json
import ssl
import sys

import websockets.asyncio.client
import websockets.asyncio.server
import websockets.exceptions

what, port, *tls = sys.argv[1:]
OF_CONNECTION = {"connection", "date", "sec-websocket-accept", "transfer-encoding"}


# The server.


async def echo(connection):
    async for message in connection:
        command, _, argument = message.partition(" ") if isinstance(message, str) else ("", "", "")
        if command == "close":
            await connection.close(int(argument), "as asked \u00fc")
        elif command == "abort":
            connection.transport.abort()
        elif command == "count":
            for index in range(int(argument)):
                await connection.send(f"{index} " * 100)
        else:
            await connection.send(message)


def choose(_, offered):
    return next((protocol for protocol in offered if protocol == "chat.v2"), None)


def refuse(connection, request):
    if request.path == "/refused":
        return connection.respond(http.HTTPStatus.FORBIDDEN, "not you\n")


async def serve():
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
    options = {"ssl": context, "max_size": None, "select_subprotocol": choose, "process_request": refuse}
    async with websockets.asyncio.server.serve(echo, "127.0.0.1", int(port), **options) as server:
        await server.serve_forever()


# The client.


def report(name, *said):
    print(json.dumps([name, *said]), flush=True)


def shown(message):
    data = message.encode() if isinstance(message, str) else message
    return [type(message).__name__, len(data), hashlib.sha256(data).hexdigest()[:16]]


def connect(path="/", **options):
    context = ssl.create_default_context(cafile=tls[0]) if tls else None
    url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}{path}"
    return websockets.asyncio.client.connect(url, ssl=context, max_size=None, **options)


async def ended(connection):
    try:
        while True:
            await connection.recv()
    except websockets.exceptions.ConnectionClosed:
        return [connection.close_code, connection.close_reason]


async def messages(name, **options):
    async with connect(**options) as connection:
        headers = connection.response.headers.raw_items()
        kept = sorted((field.lower(), value) for field, value in headers if field.lower() not in OF_CONNECTION)
        report(name, connection.response.status_code, kept, connection.subprotocol)
        for message in ("", "text \u00fc\U0001f600", b"", bytes(range(256)), "a" * 125, "a" * 126, b"\0" * 65_535, b"\0" * 65_536, "b" * 3_000_000):
            await connection.send(message)
            report(name, "echo", shown(await connection.recv()))
        await connection.send(["in ", "", "many ", "fragments"])
        report(name, "fragments", await connection.recv())
        await (await connection.ping(b"a ping"))
        report(name, "pong")
        await connection.send("count 2000")
        report(name, "2000 at once", shown("".join([await connection.recv() for _ in range(2000)])))
    report(name, "closed", connection.close_code, connection.close_reason)


async def endings():
    for command in ("close 1000", "close 4321", "close 1001", "abort"):
        async with connect() as connection:
            await connection.send(command)
            report(command, await ended(connection))
    async with connect() as connection:
        await connection.close(4000, "the caller's \u00fc")
        report("closed by the caller", connection.close_code, connection.close_reason)
    try:
        async with connect("/refused"):
            report("refused", "was taken")
    except websockets.exceptions.InvalidStatus as refusal:
        report("refused", refusal.response.status_code, refusal.response.body.decode())


async def at_once():
    async def one(number):
        async with connect() as connection:
            for index in range(50):
                await connection.send(f"{number} {index}")
                assert await connection.recv() == f"{number} {index}"

    await asyncio.gather(*(one(number) for number in range(20)))
    report("20 at once, 50 messages each")


async def call():
    await messages("compressed", subprotocols=["chat.v1", "chat.v2"])
    await messages("plain", compression=None)
    await endings()
    await at_once()


asyncio.run({"serve": serve, "call": call}[what]())
