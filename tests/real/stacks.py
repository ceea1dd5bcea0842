"""Servers of others as stacks: nginx, Caddy, gunicorn and uvicorn, straight and through twinread: callers see the same."""

import contextlib

from exchanges import CONFIGURATION, HERE, after, bytes_of
from harness import LOCALHOST, Process, Sidecar, free_port
from wire import Exchange, Http1, Http2, Raw, chunked, request

NGINX = """
daemon off;
worker_processes 1;
error_log stderr;
pid SCRATCH/nginx-stacks.pid;
events { worker_connections 256; }
http {
    access_log off;
    default_type text/plain;
    client_max_body_size 100k;
    gzip on;
    gzip_types text/plain;
    keepalive_timeout 60;
    client_body_temp_path SCRATCH/nginx-body;
    proxy_temp_path SCRATCH/nginx-proxy;
    fastcgi_temp_path SCRATCH/nginx-fastcgi;
    uwsgi_temp_path SCRATCH/nginx-uwsgi;
    scgi_temp_path SCRATCH/nginx-scgi;
    server {
        listen 127.0.0.1:PORT1;
        listen 127.0.0.1:PORT2 http2;
        absolute_redirect off;
        root SCRATCH/stacks;
        location /moved { return 301 /text.txt; }
        location /status/ {
            location = /status/204 { return 204; }
            location = /status/418 { return 418 "a teapot"; }
            location = /status/503 { add_header retry-after 5 always; return 503; }
        }
        location /list/ { autoindex on; }
        location /put/ { dav_methods PUT DELETE MKCOL; client_body_in_file_only clean; }
        location /slow/ { limit_rate 400k; alias SCRATCH/stacks/; }
        location /trailers { add_header trailer x-sum; add_trailer x-sum abc; return 200 "with trailers"; }
    }
}
"""

CADDY = """
{
    admin off
    auto_https off
    persist_config off
    servers {
        protocols h1 h2c
    }
}
http://:PORT1 {
    bind 127.0.0.1
    root * SCRATCH/stacks
    request_body {
        max_size 100KB
    }
    encode gzip zstd
    redir /moved /text.txt 301
    respond /status/204 204
    respond /status/418 "a teapot" 418
    respond /status/503 "later" 503
    @echo path /echo /put/*
    respond @echo "{http.request.method} {http.request.uri} {http.request.body}"
    file_server
}
"""

#: Of servers of files.
FILES = [
    "/text.txt", "/empty.txt", "/large.bin", "/page.html", "/nothing", "/sub", "/sub/", "/list/", "/a%20b.txt", "//text.txt",
    "/sub/../text.txt", "/%2e%2e/x", "/text.txt?a=b",
]  # fmt: skip
RANGES = ["bytes=0-3", "bytes=5-", "bytes=-5", "bytes=9999999-", "bytes=3-1", "lines=1-2"]
CONDITIONS = [
    ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT"), ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("if-none-match", "*"), ("if-none-match", '"no"'), ("if-match", '"no"'), ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "MKCOL"]
STATUSES = [200, 204, 206, 301, 304, 400, 401, 404, 410, 418, 429, 500, 503]
SIZES = [0, 1, 1024, 65_536, 1_000_000]

#: What twinread answers otherwise than the stack alone; docs/operations.md says why.
EXPLAINED = {
    # Over HTTP/1.1 nginx sends chunks, over HTTP/2 a length.
    "HTTP/2 to nginx over HTTP/1: trailers",
    "HTTP/1.1 to nginx over HTTP/2: trailers",
}


class Server:
    """How a server is started, the versions that it speaks, and what it is asked."""

    def __init__(self, command, versions, exchanges):
        self.command, self.versions, self.exchanges = command, versions, exchanges


def run(checks, tools, twinread, is_all=False):
    write_files(tools.scratch / "stacks")
    exchanges = 0
    for name, server in SERVERS.items():
        if not is_all and name not in ("caddy", "gunicorn"):
            continue
        ports = {version: free_port() for version in (1, 2)}
        with contextlib.ExitStack() as running:
            process = running.enter_context(Process(tools, f"stacks-{name}", server.command(tools, ports)))
            if name == "caddy":
                ports[2] = ports[1]
            for version in server.versions:
                process.wait_for_port(ports[version])
            for behind in server.versions:
                exchanges += exchange(checks, (tools, twinread), name, server, ports, behind)
    print(f"      {exchanges} exchanges")


def exchange(checks, running, name, server, ports, behind):
    exchanges = 0
    text = CONFIGURATION.replace("RATE", "1.0").replace("STACK", str(ports[behind])).replace("HTTP2", str(behind == 2).lower())
    with Sidecar(*running, f"stacks-{name}-{behind}", text) as sidecar:
        for caller in (Http1, Http2):
            # A server of HTTP/1.1 alone is asked in that.
            alone = caller if caller.VERSION in server.versions else Http1
            for shape in server.exchanges():
                if isinstance(shape, Raw) and caller is Http2:
                    continue
                exchanges += 1
                what = f"{caller.NAME} to {name} over HTTP/{behind}: {shape.name}"
                expected, found = alone.send(ports[alone.VERSION], shape), caller.send(sidecar.listen, shape)
                if behind == 2 or caller is Http2:
                    expected["informational"] = found["informational"] = "dropped over HTTP/2"
                if what in EXPLAINED:
                    checks.that(f"{what}: differs, as explained", found != expected)
                else:
                    checks.equal(what, found, expected)
        after(checks, sidecar)
    return exchanges


def write_files(folder):
    for name in ("", "sub", "list", "put"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "text.txt").write_text("a line of text\n" * 200)
    (folder / "empty.txt").write_text("")
    (folder / "a b.txt").write_text("a space")
    (folder / "page.html").write_text("<p>a page</p>\n" * 200)
    (folder / "large.bin").write_bytes(bytes_of(2_000_000))
    (folder / "list" / "one").write_text("1")


def of_files():
    for path in FILES:
        yield Exchange(f"GET {path}", "GET", path)
        yield Exchange(f"HEAD {path}", "HEAD", path)
    for coding in ("gzip", "zstd", "br", "identity", "gzip;q=0", "*"):
        yield Exchange(f"accept-encoding: {coding}", "GET", "/text.txt", [("accept-encoding", coding)])
    for value in RANGES:
        yield Exchange(f"range: {value}", "GET", "/text.txt", [("range", value)])
        yield Exchange(f"if-range, range: {value}", "GET", "/text.txt", [("range", value), ("if-range", '"no"')])
    for condition in CONDITIONS:
        yield Exchange(": ".join(condition), "GET", "/text.txt", [condition])
    for method in METHODS:
        yield Exchange(f"{method} of a file", method, "/text.txt")
        yield Exchange(f"{method} of a file, with a body", method, "/text.txt", body=b"body")
    for path in ("/moved", "/status/204", "/status/418", "/status/503"):
        yield Exchange(f"GET {path}", "GET", path)
        yield Exchange(f"POST {path}", "POST", path, body=b"body")
    yield Exchange("a target of 6000 bytes", "GET", "/" + "a" * 6000)
    yield Exchange("a body over the limit", "POST", "/put/a", body=bytes_of(300_000))
    yield Raw("HTTP/1.0", b"GET /text.txt HTTP/1.0\r\nHost: stack.example\r\n\r\n")
    yield Raw("chunks over the limit", chunked("/put/a", [bytes_of(60_000)] * 5))


def of_nginx():
    yield from of_files()
    yield Exchange("a slow answer", "GET", "/slow/large.bin")
    yield Exchange("PUT a new file", "PUT", "/put/new", body=b"new")
    yield Exchange("PUT it again", "PUT", "/put/new", body=b"newer")
    yield Exchange("GET it", "GET", "/put/new")
    yield Exchange("trailers", "GET", "/trailers", [("te", "trailers")])
    yield Raw("expect: 100-continue", request("PUT", "/put/new", [("Expect", "100-continue")], b"wanted"))
    yield Raw("expect: 100-continue over the limit", request("POST", "/put/a", [("Expect", "100-continue"), ("Content-Length", "3000000")]))
    yield Raw("an empty line first", b"\r\n" + request("GET", "/text.txt"))
    yield Raw("a file in chunks", chunked("/put/large", [bytes_of(20_000)] * 4))


def of_caddy():
    yield from of_files()
    for method in METHODS[2:]:
        yield Exchange(f"{method} echoed", method, "/echo?a=%20b", body=b"a body")
    yield Raw("expect: 100-continue", request("POST", "/echo", [("Expect", "100-continue")], b"wanted"))
    yield Raw("chunks", chunked("/echo", [b"a", b"bc" * 1000]))


def of_application():
    for method in METHODS:
        for body in (None, b"", b'{"a": 1}', bytes_of(100_000)):
            yield Exchange(f"{method}, body of {'no' if body is None else len(body)} bytes", method, "/echo?a=b%20c", body=body)
    for status in STATUSES:
        yield Exchange(f"status {status}", "GET", f"/status/{status}")
        yield Exchange(f"HEAD, status {status}", "HEAD", f"/status/{status}")
    for size in SIZES:
        yield Exchange(f"answer of {size} bytes", "GET", f"/size/{size}")
        yield Exchange(f"answer of {size} bytes in chunks", "GET", f"/stream/{size}")
        yield Exchange(f"HEAD of {size} bytes", "HEAD", f"/size/{size}")
        yield Exchange(f"request of {size} bytes", "POST", "/echo", body=bytes_of(size))
        yield Raw(f"request of {size} bytes in chunks", chunked("/echo", [bytes_of(size)] if size else []))
    yield Exchange("two cookies", "GET", "/cookies", [("cookie", "a=1; b=2")])
    yield Exchange("headers", "GET", "/echo", [("x-a", "1"), ("x-a", "2"), ("accept", "*/*"), ("x-latin", "caf\u00e9")])
    yield Raw("an early answer", request("POST", "/early", [("Content-Length", "3000000")]))
    yield Raw("expect: 100-continue", request("POST", "/echo", [("Expect", "100-continue")], b"wanted"))
    yield Raw("HTTP/1.0", b"GET /echo HTTP/1.0\r\nHost: stack.example\r\n\r\n")
    yield Raw("HTTP/1.0, chunks", b"GET /stream/100000 HTTP/1.0\r\nHost: stack.example\r\n\r\n")


def configured(text, suffix, command):
    def of(tools, ports):
        file = tools.scratch / f"stacks.{suffix}"
        filled = text.replace("SCRATCH", str(tools.scratch))
        for version, port in ports.items():
            filled = filled.replace(f"PORT{version}", str(port))
        file.write_text(filled)
        return command(tools, file)

    return of


def python(module, *options):
    def of(tools, ports):
        address = [option.replace("PORT", str(ports[1])) for option in options]
        return [tools.venv / "python", "-m", module, *address]

    return of


SERVERS = {
    "caddy": Server(configured(CADDY, "Caddyfile", lambda tools, file: [tools.venv / "caddy", "run", "--config", file]), (1, 2), of_caddy),
    "nginx": Server(configured(NGINX, "conf", lambda tools, file: ["nginx", "-c", file, "-e", "stderr"]), (1, 2), of_nginx),
    "gunicorn": Server(
        python("gunicorn", "--chdir", str(HERE / "adapters"), "--bind", f"{LOCALHOST}:PORT", "--threads", "8", "--keep-alive", "30", "app:wsgi"),
        (1,), of_application,
    ),
    "uvicorn": Server(
        python("uvicorn", "--app-dir", str(HERE / "adapters"), "--port", "PORT", "--log-level", "warning", "--timeout-keep-alive", "30", "app:asgi"),
        (1,), of_application,
    ),
}  # fmt: skip
