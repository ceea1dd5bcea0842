"""Recordings that others made, replayed: the access logs of nginx and Caddy, which serve the same pages here as old and new; an
archive that headless Chromium saved (--all); and a reading of the sidecar's own recording.

What the logs have is what `replay` reads: each declared read once for each line, and everything else is counted by reason.
"""

import json
import pathlib
import socket
import subprocess

from harness import LOCALHOST, Sidecar, call, nginx_and_caddy, wait_for

NGINX = """
daemon off;
worker_processes 1;
error_log stderr;
pid SCRATCH/nginx-replay.pid;
events { worker_connections 512; }
http {
    access_log SCRATCH/nginx-access.log combined;
    default_type application/json;
    client_body_temp_path SCRATCH/nginx-body;
    proxy_temp_path SCRATCH/nginx-proxy;
    fastcgi_temp_path SCRATCH/nginx-fastcgi;
    uwsgi_temp_path SCRATCH/nginx-uwsgi;
    scgi_temp_path SCRATCH/nginx-scgi;
    server {
        listen 127.0.0.1:OLD;
        location / { return 404 '{}'; }
        location ~ ^/items/([0-9]+)$ { return 200 '{"id": $1, "query": true}'; }
        location = /page { default_type text/html; return 200 '<script>for (const n of [1, 2, 42]) fetch("/items/" + n)</script>'; }
    }
}
"""

CADDY = """
{
    admin off
    auto_https off
    persist_config off
}
http://127.0.0.1:NEW {
    log {
        output file SCRATCH/caddy-access.log
        format json
    }
    @item path_regexp item ^/items/([0-9]+)$
    header Content-Type application/json
    handle /items/42 {
        respond `{"id": 42, "query": false}`
    }
    handle @item {
        respond `{"query": true, "id": {re.item.1}}`
    }
    handle /page {
        header Content-Type text/html
        respond `<script>for (const n of [1, 2, 42]) fetch("/items/" + n)</script>`
    }
    handle {
        respond `{}` 404
    }
}
"""

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD', max_per_second: 10000}
new: {url: 'http://127.0.0.1:NEW', max_per_second: 10000}
routes: [{name: get-item, methods: [GET], path: '/items/{id}'}]
sample: {rate: 1.0, max_per_second: 10000}
recheck: {after: [50ms]}
redact: {values: shown}
"""

ITEMS = 30

BROWSER = """
const { default: chromium } = await import("@sparticuz/chromium");
const { chromium: playwright } = await import("playwright-core");
const [url, path] = process.argv.slice(-2);
const browser = await playwright.launch({ executablePath: await chromium.executablePath(), args: chromium.args, headless: true });
const context = await browser.newContext({ recordHar: { path } });
const page = await context.newPage();
await page.goto(url, { waitUntil: "networkidle" });
await context.close();
await browser.close();
"""


def run(checks, tools, twinread, is_all):
    scratch = tools.scratch
    for name in ("nginx-access.log", "caddy-access.log"):
        (scratch / name).unlink(missing_ok=True)
    with nginx_and_caddy(tools, "replay", NGINX, CADDY) as (old, new, configured):
        configuration = CONFIGURATION.replace("OLD", str(old)).replace("NEW", str(new))
        file = configured("replay.yaml", configuration.replace("LISTEN", f"{LOCALHOST}:0").replace("ADMIN", f"{LOCALHOST}:0"))

        def replay(recording, *more):
            done = tools.run([twinread, "replay", recording, "--config", file, "--rate", "0", "--json", *more])
            assert done.stdout, done.stderr
            return json.loads(done.stdout), done.returncode

        check_nginx(checks, old, scratch / "nginx-access.log", replay)
        check_caddy(checks, new, scratch / "caddy-access.log", replay)
        check_own(checks, tools, twinread, configuration, replay)
        if is_all:
            check_browser(checks, tools, old, replay)


def ask(port, method, target):
    """Sends a request as it is written."""
    with socket.create_connection((LOCALHOST, port), 5) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\nhost: {LOCALHOST}:{port}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode())
        while connection.recv(1 << 16):
            pass


def requests(port, quote):
    """Reads, one of which differs, and what is none."""
    for number in range(1, ITEMS + 1):
        ask(port, "GET", f"/items/{number}?q=%20{quote}{number}")
    ask(port, "GET", "/items/42")
    ask(port, "HEAD", "/items/1")
    ask(port, "POST", "/items")
    ask(port, "DELETE", "/items/1")


def counts(found):
    return {each["reason"]: each["count"] for each in found["unusable"]}


def check_nginx(checks, port, log, replay):
    requests(port, '"')
    with socket.create_connection((LOCALHOST, port), 5) as connection:
        connection.sendall(b"\x16\x03\x01nonsense\r\n\r\n")
        connection.recv(1 << 16)
    wait_for("nginx's log", lambda: log.exists() and len(log.read_text().splitlines()) == ITEMS + 5)
    kept = log.with_suffix(".kept")
    kept.write_text(log.read_text())
    found, code = replay(kept)
    checks.equal("nginx's log: reads", (found["recorded"], found["read"]), (ITEMS + 5, ITEMS + 2))
    checks.equal("nginx's log: what is no read", counts(found), {"not_a_read": 2, "no_request": 1})
    checks.equal("nginx's log: the planted difference", [each["path"] for each in found["examples"]], ["/items/42"])
    checks.equal("nginx's log: the exit code", code, 2)
    once, _ = replay(kept, "--dedupe")
    checks.equal("nginx's log: each read once", (once["read"], once["duplicates"]), (ITEMS + 2, 0))
    compressed = kept.with_suffix(".gz")
    subprocess.run(["gzip", "-c", str(kept)], stdout=compressed.open("wb"), check=True)
    again, _ = replay(compressed)
    checks.equal("nginx's log, compressed", again["read"], found["read"])


def check_caddy(checks, port, log, replay):
    before = len(log.read_text().splitlines())
    # Caddy refuses a bare quote.
    requests(port, "%22")
    wait_for("Caddy's log", lambda: len(log.read_text().splitlines()) >= before + ITEMS + 4)
    kept = log.with_suffix(".kept")
    kept.write_text("".join(log.read_text().splitlines(keepends=True)[before:]))
    found, code = replay(kept)
    checks.equal("Caddy's log: reads", (found["recorded"], found["read"]), (ITEMS + 4, ITEMS + 2))
    checks.equal("Caddy's log: what is no read", counts(found), {"not_a_read": 2})
    checks.equal("Caddy's log: the planted difference", [each["path"] for each in found["examples"]], ["/items/42"])
    checks.equal("Caddy's log: the exit code", code, 2)
    mapped, _ = replay(kept, "--format", "json", "--map", "path=$.request.uri", "--map", "method=$.request.method")
    checks.equal("Caddy's log, by a map", mapped["read"], found["read"])


def check_own(checks, tools, twinread, configuration, replay):
    out = tools.scratch / "recorded.ndjson"
    with Sidecar(tools, twinread, "replay-sidecar", configuration) as sidecar:
        record = [twinread, "record", "--out", out, "--for", "10s", "--admin", f"http://{LOCALHOST}:{sidecar.admin}"]
        recording = subprocess.Popen([str(part) for part in record], stdout=subprocess.PIPE, text=True, env=tools.environment)
        wait_for("the recording", lambda: "a recording began" in sidecar.output())
        for number in range(1, ITEMS + 1):
            call(sidecar.listen, "GET", f"/items/{number}")
        told, _ = recording.communicate(timeout=30)
    checks.equal("every sampled read is recorded", told.strip(), f"{ITEMS} reads recorded")
    found, _ = replay(out, "--against", "recorded")
    counted = (found["read"], found["against_recorded"], found["examples"])
    checks.equal("the new stack answers as recorded", counted, (ITEMS, True, []))


def check_browser(checks, tools, port, replay):
    script, har = tools.scratch / "browser" / "har.mjs", tools.scratch / "browser.har"
    script.write_text(BROWSER)
    done = tools.run(["node", script, f"http://{LOCALHOST}:{port}/page", har])
    if done.returncode != 0:
        checks.that("Chromium saves an archive", False, done.stderr)
        return
    entries = json.loads(har.read_text())["log"]["entries"]
    checks.that("Chromium saved the page and its reads", len(entries) >= 4, len(entries))
    for more in ((), ("--against", "recorded")):
        found, code = replay(har, *more)
        checks.equal(f"the archive is read {more}", (found["recorded"], found["read"]), (len(entries), len(entries)))
        checks.equal(f"the planted difference {more}", [each["path"] for each in found["examples"]], ["/items/42"])
        checks.equal(f"the exit code {more}", code, 2)
