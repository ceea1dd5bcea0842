"""Client libraries and load generators of others, straight to a stack and through twinread: they see the same."""

import contextlib
import re

from exchanges import HERE, after, sidecar_on, stack_on
from harness import LOCALHOST

#: Each with the version of HTTP that it speaks.
LIBRARIES = {
    "requests": (1, lambda tools: [tools.venv / "python", HERE / "adapters/clients.py", "requests"]),
    "httpx": (1, lambda tools: [tools.venv / "python", HERE / "adapters/clients.py", "httpx"]),
    "aiohttp": (1, lambda tools: [tools.venv / "python", HERE / "adapters/clients.py", "aiohttp"]),
    "undici": (1, lambda tools: ["node", HERE / "adapters/undici.mjs", tools.scratch / "npm/node_modules/undici", "1"]),
    "httpx over HTTP/2": (2, lambda tools: [tools.venv / "python", HERE / "adapters/clients.py", "httpx-2"]),
    "undici over HTTP/2": (2, lambda tools: ["node", HERE / "adapters/undici.mjs", tools.scratch / "npm/node_modules/undici", "2"]),
}

CURL = ["curl", "-s", "--max-time", "30", "-H", "host: stack.example", "-o", "-", "-w", "\n%{http_code} %{size_download}\n"]
CURLS = {"curl": (1, ["--http1.1"]), "curl over HTTP/2": (2, ["--http2-prior-knowledge"])}
CURLED = [
    ["/echo?a=b"],
    ["-I", "/size/10"],
    ["-d", '{"a": 1}', "/echo"],
    ["-T", __file__, "/hash"],
    ["--compressed", "/encoded/br"],
    ["-r", "0-3", "/echo"],
    ["-X", "DELETE", "/status/204"],
    ["/size/3000000"],
    ["/stream/3000000"],
    ["-H", "expect: 100-continue", "-d", "wanted", "/echo"],
]


def run(checks, tools, twinread):
    with contextlib.ExitStack() as running:
        straight = {version: running.enter_context(stack_on(tools, version)) for version in (1, 2)}
        for behind in (1, 2):
            sidecar = running.enter_context(sidecar_on(tools, twinread, straight[behind], behind))
            for name, (version, command) in LIBRARIES.items():
                told = [library(tools, command(tools), port) for port in (straight[version], sidecar.listen)]
                checks.that(f"{name} to HTTP/{behind}: {len(told[0])} answers", len(told[0]) > 10, told[0])
                for expected, found in zip(*told):
                    checks.equal(f"{name} to HTTP/{behind}: {expected[:40]}", found, expected)
                checks.equal(f"{name} to HTTP/{behind}: as many answers", len(told[1]), len(told[0]))
            for name, (version, options) in CURLS.items():
                for asked in CURLED:
                    told = [curl(tools, [*options, *asked], port) for port in (straight[version], sidecar.listen)]
                    checks.equal(f"{name} to HTTP/{behind}: {' '.join(asked)[-40:]}", told[1], told[0])
            load(checks, tools, sidecar, behind)
            after(checks, sidecar)


def library(tools, command, port):
    ran = tools.run([str(part) for part in (*command, f"http://{LOCALHOST}:{port}")])
    return ran.stdout.splitlines() + ran.stderr.splitlines()


def curl(tools, asked, port):
    *options, path = asked
    ran = tools.run([*CURL, *options, f"http://{LOCALHOST}:{port}{path}"], text=False)
    # Of the head that `-I` prints, the clock and the connection are not compared.
    lines = [line for line in ran.stdout.splitlines() if not line.lower().startswith((b"date:", b"connection:", b"keep-alive:"))]
    return ran.returncode, sorted(lines)


def load(checks, tools, sidecar, behind):
    """Load generators: no request fails."""
    url = f"http://{LOCALHOST}:{sidecar.listen}/size/2000"
    ran = tools.run(["h2load", "-n2000", "-c8", "-m16", url])
    is_clean = "2000 succeeded, 0 failed, 0 errored" in ran.stdout
    checks.that(f"h2load to HTTP/{behind}: 2000 requests, 16 at a time on each connection", is_clean, ran.stdout + ran.stderr)
    ran = tools.run(["h2load", "--h1", "-n2000", "-c8", url])
    is_clean = "2000 succeeded, 0 failed, 0 errored" in ran.stdout
    checks.that(f"h2load over HTTP/1.1 to HTTP/{behind}", is_clean, ran.stdout + ran.stderr)
    ran = tools.run(["wrk", "-t1", "-c8", "-d1", url])
    is_clean = "Requests/sec" in ran.stdout and not re.search("Non-2xx|Socket errors", ran.stdout)
    checks.that(f"wrk to HTTP/{behind}", is_clean, ran.stdout + ran.stderr)
    ran = tools.run(["nghttp", "-nv", url])
    checks.that(f"nghttp to HTTP/{behind}", re.search(r":status: 200", ran.stdout), ran.stdout + ran.stderr)
