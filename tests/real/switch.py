"""The switch under load: real nginx is old and real Caddy is new, behind two sidecars. Aiohttp's callers keep their connections
while `serve.new` goes up and down by the key of a header. Where a key belongs is computed by PyPI's `xxhash`."""

import asyncio
import collections
import json
import random
import threading
import time

from harness import LOCALHOST, Sidecar, call, nginx_and_caddy

STEPS = (0, 1, 5, 25, 50, 100, 50, 25, 5, 1, 0)
CALLERS = 64
KEYS = 5000
SALT = "2026"

NGINX = """
daemon off;
worker_processes 1;
error_log stderr;
pid SCRATCH/nginx-switch.pid;
events { worker_connections 512; }
http {
    access_log off;
    default_type application/json;
    client_body_temp_path SCRATCH/nginx-body;
    proxy_temp_path SCRATCH/nginx-proxy;
    fastcgi_temp_path SCRATCH/nginx-fastcgi;
    uwsgi_temp_path SCRATCH/nginx-uwsgi;
    scgi_temp_path SCRATCH/nginx-scgi;
    keepalive_requests 1000000;
    server {
        listen 127.0.0.1:OLD;
        location ~ ^/users/([0-9]+)$ { add_header X-Stack old; return 200 '{"id": $1}'; }
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
    @user path_regexp user ^/users/([0-9]+)$
    header Content-Type application/json
    header X-Stack new
    respond @user `{"id": {re.user.1}}`
}
"""

CONFIGURATION = f"""
listen: LISTEN
admin: ADMIN
old: {{url: 'http://127.0.0.1:OLD', max_per_second: 10000}}
new: {{url: 'http://127.0.0.1:NEW', max_per_second: 10000}}
routes: [{{name: get-user, methods: [GET], path: '/users/{{id}}'}}]
serve: {{by: 'header:x-user-id', salt: '{SALT}'}}
sample: {{rate: 1.0, max_per_second: 50}}
recheck: {{after: [50ms]}}
redact: {{values: shown}}
rules: ['builtin:http', RULES]
"""

# A stack says who it is.
RULES = "rules: [{id: who, why: each says who it is, at: header.x-stack, do: ignore}]\n"


def run(checks, tools, twinread, is_all):
    with nginx_and_caddy(tools, "switch", NGINX, CADDY) as (_, _, configured):
        rules = str(configured("switch-rules.yaml", RULES))
        configuration = configured("switch.yaml", CONFIGURATION).read_text().replace("RULES", rules)
        with (
            Sidecar(tools, twinread, "switch-a", configuration) as one,
            Sidecar(tools, twinread, "switch-b", configuration) as other,
        ):
            check(checks, (one, other), 60 if is_all else 16)


class Load:
    """Callers that keep their connections, half of them at each sidecar."""

    def __init__(self, ports):
        self.ports, self.ended = ports, False
        # The step that is in force for certain, or nothing while it changes.
        self.step = None
        self.answers, self.faults, self.connections = collections.Counter(), collections.Counter(), 0
        self.sides = collections.defaultdict(set)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.callers()))

    async def callers(self):
        import aiohttp  # of PyPI

        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(self.connected)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=300)
        async with aiohttp.ClientSession(connector=connector, trace_configs=[trace], auto_decompress=False) as session:
            await asyncio.gather(*(self.caller(session, number) for number in range(CALLERS)))

    async def connected(self, *_):
        self.connections += 1

    async def caller(self, session, number):
        import aiohttp

        port, chance = self.ports[number % 2], random.Random(number)
        while not self.ended:
            key, step = chance.randrange(KEYS), self.step
            try:
                async with session.get(f"http://{LOCALHOST}:{port}/users/{key}", headers={"x-user-id": str(key)}) as answer:
                    body = await answer.read()
            except aiohttp.ClientError as error:
                self.faults[type(error).__name__] += 1
                continue
            if answer.status != 200 or json.loads(body) != {"id": key}:
                self.faults[answer.status] += 1
            self.answers[answer.headers["x-stack"]] += 1
            if step is not None and step == self.step:
                self.sides[step, key].add(answer.headers["x-stack"])

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()


def is_in(key, percent):
    import xxhash  # of PyPI

    bucket = xxhash.xxh3_64_intdigest(b"serve\0" + SALT.encode() + b"\0" + str(key).encode()) % 10_000
    return bucket < 100 * percent


def check(checks, sidecars, seconds):
    recorded = []
    threads = [threading.Thread(target=record, args=(sidecar.admin, seconds + 2, recorded)) for sidecar in sidecars]
    for thread in threads:
        thread.start()
    with Load([sidecar.listen for sidecar in sidecars]) as load:
        for number, percent in enumerate(STEPS):
            for sidecar in sidecars:
                sidecar.patch({"serve": {"new": percent}})
            load.step = (number, percent)
            time.sleep(seconds / len(STEPS))
            load.step = None
            time.sleep(0.1)  # for what is under way
    for thread in threads:
        thread.join()
    total = sum(load.answers.values())
    print(f"      {total} answers: {dict(load.answers)}; {len(recorded)} checks")
    checks.that("there was load", total > 100 * seconds, total)
    checks.equal("no request failed", dict(load.faults), {})
    checks.equal("no caller had to connect again", load.connections, CALLERS)
    wrong = {
        (percent, key): sides
        for ((_, percent), key), sides in load.sides.items()
        if sides != {"new" if is_in(key, percent) else "old"}
    }
    checks.equal("each key is at its side, on both sidecars", wrong, {})
    for percent in sorted(set(STEPS)):
        seen = {key: sides for ((_, step), key), sides in load.sides.items() if step == percent}
        share = sum(sides == {"new"} for sides in seen.values()) / len(seen)
        error = 5 * (percent / 100 * (1 - percent / 100) / len(seen)) ** 0.5
        checks.that(f"{percent} %: share of {len(seen)} keys", abs(share - percent / 100) <= error, share)
    check_checks(checks, sidecars, recorded)


def check_checks(checks, sidecars, recorded):
    for sidecar in sidecars:
        sampled = sidecar.wait_until_quiet()
        matched = int(sidecar.total("twinread_checks_total", outcome="match"))
        checks.that("every check is a match", matched == sampled, (matched, sampled, sidecar.classes()))
        checks.equal("live failures", sidecar.total("twinread_live_failures_total"), 0)
        checks.equal("reads without a key", sidecar.total("twinread_serve_keyless_total"), 0)
    sides = collections.Counter()
    for each in recorded:
        sides[tuple(dict(each[stack]["headers"])["x-stack"] for stack in ("old", "new"))] += 1
    checks.equal("every check has old's answer as old's", set(sides), {("old", "new")})


def record(admin, seconds, recorded):
    answer = call(admin, "POST", "/v1/record", json.dumps({"seconds": seconds}), {"content-type": "application/json"})
    recorded += [json.loads(line) for line in answer.body.splitlines()]
