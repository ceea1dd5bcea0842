"""The same static JSON behind two nginx servers, with wrk in front: nothing differs, and nothing goes missing."""

import json
import os
import re

from harness import Process, Sidecar, free_port

SIZES = {"small": 10, "middle": 160, "large": 2600}

NGINX = """
daemon off;
worker_processes 1;
error_log stderr;
pid SCRATCH/nginx.pid;
events { worker_connections 512; }
http {
    access_log off;
    default_type application/json;
    keepalive_requests 1000000;
    client_body_temp_path SCRATCH/nginx-body;
    proxy_temp_path SCRATCH/nginx-proxy;
    fastcgi_temp_path SCRATCH/nginx-fastcgi;
    uwsgi_temp_path SCRATCH/nginx-uwsgi;
    scgi_temp_path SCRATCH/nginx-scgi;
    server { listen 127.0.0.1:OLD; root SCRATCH/www; }
    server { listen 127.0.0.1:NEW; root SCRATCH/www; }
}
"""

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD'}
new: {url: 'http://127.0.0.1:NEW', max_per_second: 100000}
sample: {rate: 1.0, max_per_second: 100000}
recheck: {after: []}
"""


def run(checks, tools, twinread):
    write_files(tools.scratch / "www")
    ports = {"OLD": str(free_port()), "NEW": str(free_port())}
    nginx_file = tools.scratch / "nginx.conf"
    nginx_file.write_text(replaced(NGINX, {**ports, "SCRATCH": str(tools.scratch)}))
    with Process(tools, "nginx", ["nginx", "-c", nginx_file, "-e", "stderr"]) as nginx:
        for port in ports.values():
            nginx.wait_for_port(int(port))
        with Sidecar(tools, twinread, "static", replaced(CONFIGURATION, ports)) as sidecar:
            answered = sum(load(checks, tools, sidecar, name) for name in SIZES)
            check_figures(checks, sidecar, answered)


def replaced(text, words):
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def write_files(folder):
    folder.mkdir(exist_ok=True)
    for name, members in SIZES.items():
        rows = [{"id": row, "price": row / 4, "name": f"row {row}", "tags": ["a", "b"]} for row in range(members)]
        file = folder / f"{name}.json"
        file.write_text(json.dumps({"rows": rows}))
        os.chmod(file, 0o644)


def load(checks, tools, sidecar, name):
    """Two seconds of wrk; how many requests were answered."""
    url = f"http://127.0.0.1:{sidecar.listen}/{name}.json"
    ran = tools.run(["wrk", "-t1", "-c16", "-d2s", url])
    answered = re.search(r"(\d+) requests in", ran.stdout)
    checks.that(f"{name}: wrk was answered", answered and int(answered[1]) > 0, ran.stdout + ran.stderr)
    is_clean = "Socket errors" not in ran.stdout and "Non-2xx" not in ran.stdout
    checks.that(f"{name}: no live error", is_clean, ran.stdout)
    return int(answered[1]) if answered else 0


def check_figures(checks, sidecar, answered):
    sampled = sidecar.wait_until_quiet()
    live = sidecar.total("twinread_live_requests_total")
    # wrk leaves when its time is up; up to one request of each connection is answered but not counted by it.
    checks.that("live requests are all counted", answered <= live <= answered + 16 * len(SIZES), (answered, live))
    checks.equal("every read was sampled", sampled, live)
    outcomes = sidecar.total("twinread_checks_total")
    checks.equal("sampled = sum of outcomes", sampled, outcomes)
    for outcome in ("mismatch", "transient", "noise", "shadow_error"):
        checks.equal(f"no {outcome}", sidecar.total("twinread_checks_total", outcome=outcome), 0)
    matches = sidecar.total("twinread_checks_total", outcome="match")
    skipped = sidecar.total("twinread_checks_total", outcome="not_compared")
    checks.that("checks were made", matches > 0, matches)
    checks.equal("what was not compared has its reason", matches + skipped, sampled)
    broken = sidecar.total("twinread_checks_total", outcome="not_compared", detail="internal")
    checks.equal("nothing broke inside", broken, 0)
    checks.equal("no class of mismatches", sidecar.classes(), set())
    print(f"      {int(live)} live, {int(matches)} compared, {int(skipped)} not compared")
