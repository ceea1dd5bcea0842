"""Asks a stack through a client library: clients.py LIBRARY URL; prints what the library shows, one line of JSON a request."""

import asyncio
import hashlib
import json
import sys

BODY = b"twinread exchange " * 9000
ASKED = [
    ("GET", "/echo?a=b%20c&d", {"x-one": "1"}, None),
    ("HEAD", "/size/4096", {}, None),
    ("POST", "/echo", {"content-type": "application/json"}, b'{"a": 1}'),
    ("PUT", "/hash", {}, BODY),
    ("DELETE", "/status/204", {}, None),
    ("OPTIONS", "/echo", {}, None),
    ("GET", "/status/404", {}, None),
    ("GET", "/status/503", {}, None),
    ("GET", "/headers/repeated", {}, None),
    ("GET", "/headers/many", {}, None),
    ("GET", "/encoded/gzip", {}, None),
    ("GET", "/encoded/br", {}, None),
    ("GET", "/size/300000", {}, None),
    ("GET", "/stream/300000", {}, None),
    ("GET", "/trailers", {}, None),
    ("GET", "/events", {}, None),
]
HOST = {"host": "stack.example"}
DROPPED = {"connection", "keep-alive", "transfer-encoding", "date", "trailer"}


def tell(asked, status, headers, body):
    kept = sorted((name.lower(), value) for name, value in headers if name.lower() not in DROPPED)
    told = [*asked[:2], status, kept, len(body), hashlib.sha256(body).hexdigest()]
    print(json.dumps(told), flush=True)


def by_requests(url):
    import requests

    with requests.Session() as session:
        for asked in ASKED:
            method, path, headers, body = asked
            answer = session.request(method, url + path, headers={**HOST, **headers}, data=body, timeout=30)
            tell(asked, answer.status_code, answer.headers.items(), answer.content)


def by_httpx(url, http2):
    import httpx

    with httpx.Client(http1=not http2, http2=http2, timeout=30) as client:
        for asked in ASKED:
            method, path, headers, body = asked
            answer = client.request(method, url + path, headers={**HOST, **headers}, content=body)
            tell(asked, answer.status_code, answer.headers.multi_items(), answer.content)


def by_aiohttp(url):
    import aiohttp

    async def ask():
        async with aiohttp.ClientSession() as session:
            for asked in ASKED:
                method, path, headers, body = asked
                target = aiohttp.client.URL(url + path, encoded=True)
                async with session.request(method, target, headers={**HOST, **headers}, data=body) as answer:
                    tell(asked, answer.status, answer.headers.items(), await answer.read())

    asyncio.run(ask())


library, url = sys.argv[1:]
{
    "requests": by_requests,
    "httpx": lambda url: by_httpx(url, False),
    "httpx-2": lambda url: by_httpx(url, True),
    "aiohttp": by_aiohttp,
}[library](url)
