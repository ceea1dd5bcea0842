"""One application for servers of WSGI (`wsgi`) and ASGI (`asgi`): it shows what arrived, and answers as the path says."""

import asyncio
import hashlib
import json

OF_TWINREAD = ("x-twinread", "traceparent", "tracestate")
OF_CONNECTION = ("connection", "host", "transfer-encoding", "content-length")


def answer(method, path, query, headers, body):
    """Status, headers, and parts of a body."""
    kind, _, argument = path.strip("/").partition("/")
    match kind:
        case "status":
            is_bare = argument in ("204", "304")
            return int(argument), [("x-status", argument)], [] if is_bare else [f"status {argument}\n".encode()]
        case "size":
            return 200, [("content-length", argument)], parts(int(argument))
        case "stream":
            return 200, [], parts(int(argument))
        case "cookies":
            return 200, [("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2; HttpOnly")], [b"cookies"]
        case "early":
            return 413, [("content-length", "8"), ("connection", "close")], [b"too much"]
    kept = sorted(pair for pair in headers if not pair[0].startswith(OF_TWINREAD) and pair[0] not in OF_CONNECTION)
    shown = json.dumps([method, path, query, kept, len(body), hashlib.sha256(body).hexdigest()]).encode()
    return 200, [("content-type", "application/json"), ("content-length", str(len(shown)))], [shown]


def parts(size):
    for at in range(0, size, 60_000):
        yield b"a" * min(60_000, size - at)


def wsgi(environ, start_response):
    named = [(name[5:].replace("_", "-").lower(), value) for name, value in environ.items() if name.startswith("HTTP_")]
    path = environ["PATH_INFO"]
    body = b"" if path.startswith("/early") else environ["wsgi.input"].read()
    status, headers, content = answer(environ["REQUEST_METHOD"], path, environ["QUERY_STRING"], named, body)
    start_response(f"{status} Answer", headers)
    return content


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body, is_more = b"", not scope["path"].startswith("/early")
    while is_more:
        event = await receive()
        body += event.get("body", b"")
        is_more = event.get("more_body", False)
    named = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    status, headers, content = answer(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), named, body)
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    for part in content:
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body"})
