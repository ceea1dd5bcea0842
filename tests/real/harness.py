"""What the suites share: free ports, processes with deadlines, HTTP, the sidecar, and the count of checks."""

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

LOCALHOST = "127.0.0.1"

ALERTS = pathlib.Path(__file__).parent.parent.parent / "deploy/prometheus/alerts.yaml"

PROMETHEUS = """
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [ALERTS]
scrape_configs:
  - job_name: twinread
    static_configs: TARGETS
"""


class Checks:
    """Counts what held and what did not, and says so as it goes."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def that(self, what, holds, detail=""):
        if holds:
            self.passed += 1
            print(f"ok    {what}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL  {what}: {detail}", flush=True)

    def equal(self, what, found, expected):
        self.that(what, found == expected, f"\n  found    {found!r}\n  expected {expected!r}")

    @contextlib.contextmanager
    def suite(self, name):
        """A suite that breaks off counts as one failure."""
        print(f"-- {name}", flush=True)
        try:
            yield
        except Exception:
            self.that(f"{name} ran to its end", False, "\n" + traceback.format_exc())


class Tools:
    """Where the installed peers are."""

    def __init__(self, scratch):
        self.scratch = pathlib.Path(scratch)
        self.venv = self.scratch / "venv" / "bin"
        # For suites that use a library of PyPI themselves.
        sys.path += map(str, self.scratch.glob("venv/lib/python3*/site-packages"))
        root = self.scratch / "debian" / "root" / "usr"
        libraries = [root / "lib" / "x86_64-linux-gnu", root / "lib" / "aarch64-linux-gnu"]
        self.environment = {
            **os.environ,
            "PATH": ":".join([f"{root}/sbin", f"{root}/bin", os.environ["PATH"], "/usr/sbin"]),
            "LD_LIBRARY_PATH": ":".join(str(library) for library in libraries if library.exists()),
        }

    def dynalite(self):
        return ["node", str(self.scratch / "npm/node_modules/dynalite/cli.js")]

    def json_server(self, which):
        """The command of one of its majors: `old` or `new`."""
        folder = self.scratch / f"npm/node_modules/json-server-{which}"
        command = json.loads((folder / "package.json").read_text())["bin"]
        (script,) = [command] if isinstance(command, str) else command.values()
        return ["node", str(folder / script)]

    def rotel(self):
        (agent,) = self.scratch.glob("venv/lib/python3*/site-packages/rotel/rotel-agent")
        return str(agent)

    def schemathesis(self):
        return str(self.venv / "schemathesis")

    def faketime(self):
        """The library that gives a process another clock."""
        folders = (self.scratch / "debian" / "root" / "usr/lib", pathlib.Path("/usr/lib"))
        return str(next(found for folder in folders for found in folder.glob("*/faketime/libfaketimeMT.so.1")))

    def kubectl(self):
        return str(self.scratch / "kubectl/kubectl")

    def wstest(self):
        return str(self.scratch / "autobahn/wstest")

    def run(self, command, **options):
        """Runs a command to its end, within a deadline."""
        options = {"timeout": 120, "capture_output": True, "text": True, **options}
        return subprocess.run(command, env=self.environment, **options)

    def lines(self, command):
        """What it prints, and how it ends."""
        ran = self.run([str(part) for part in command])
        return [*ran.stdout.splitlines(), *(ran.stderr.splitlines() if ran.returncode else ()), f"exit {ran.returncode}"]


class Process:
    """A child process, its output in a file; stopped by its own id at the end of the `with`."""

    def __init__(self, tools, name, command):
        self.log = tools.scratch / f"{name}.log"
        self.log.unlink(missing_ok=True)
        self.command, self.environment = [str(part) for part in command], tools.environment
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=self.environment
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, seconds=15):
        """Asks it to end, waits, and ends it after the deadline; the exit code."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait(5)

    def output(self):
        return self.log.read_text(errors="replace")

    def wait_for_port(self, port, seconds=60):
        def listens():
            if self.child.poll() is not None:
                raise RuntimeError(f"ended with {self.child.returncode}:\n{self.output()}")
            with contextlib.suppress(OSError), socket.create_connection((LOCALHOST, port), 1):
                return True

        wait_for(f"port {port}", listens, seconds)
        return self


def free_port():
    with socket.socket() as listener:
        listener.bind((LOCALHOST, 0))
        return listener.getsockname()[1]


def wait_for(what, condition, seconds=30):
    """Asks until the condition gives something true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {seconds} s")
        time.sleep(0.05)


def certificate(tools, name="", since=None):
    """A certificate of a private authority for this host: the files `CA`, `CERT` and `KEY`; `since` makes it an old one, for any clock."""
    files = {each: tools.scratch / f"{name}{each.lower()}.pem" for each in ("CA", "CERT", "KEY")}
    authority = tools.scratch / f"{name}authority.pem"
    clock = ["env", f"LD_PRELOAD={tools.faketime()}", f"FAKETIME={since}"] if since else []
    new = [*clock, *"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days".split(), "60000" if since else "90"]
    of_host = ["subjectAltName=DNS:localhost,IP:127.0.0.1", "basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"]
    signed = ["-CA", files["CA"], "-CAkey", authority, *(part for each in of_host for part in ("-addext", each))]
    signs = ["-addext", "keyUsage=critical,keyCertSign"]
    tools.run([*new, "-subj", "/CN=a private authority", "-keyout", authority, "-out", files["CA"], *signs], check=True)
    tools.run([*new, "-subj", "/CN=localhost", "-keyout", files["KEY"], "-out", files["CERT"], *signed], check=True)
    return files


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


def call(port, method, path, body=None, headers=None):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(LOCALHOST, port, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


@contextlib.contextmanager
def stack(answers, address=(LOCALHOST, 0), is_prompt=False):
    """A small stack, by default on a free port: `answers(path)` gives a JSON document. Yields the port and the requests seen.

    Unless it is prompt, each body waits for its head to be acknowledged (40 ms).
    """
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = is_prompt

        def do_GET(self):
            seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            body = json.dumps(answers(self.path)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            with contextlib.suppress(ConnectionError):  # whoever asked may be gone by now
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(address, Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, seen
    finally:
        server.shutdown()
        server.server_close()


class Sidecar(Process):
    """`twinread run` with a configuration; `LISTEN` and `ADMIN` in it are replaced by free ports."""

    def __init__(self, tools, twinread, name, configuration, prefix=()):
        self.listen, self.admin = free_port(), free_port()
        self.twinread = twinread
        self.file = tools.scratch / f"{name}.yaml"
        ports = {"LISTEN": f"{LOCALHOST}:{self.listen}", "ADMIN": f"{LOCALHOST}:{self.admin}"}
        for word, address in ports.items():
            configuration = configuration.replace(word, address)
        self.file.write_text(configuration)
        super().__init__(tools, name, [*prefix, twinread, "run", "--config", self.file])

    def start(self):
        super().start()
        try:
            self.wait_for_port(self.listen)
            self.wait_for_port(self.admin)
        except BaseException:
            self.stop()
            raise

    def get(self, path, headers=None):
        return call(self.listen, "GET", path, headers=headers)

    def ask(self, path):
        """What the admin API says."""
        answer = call(self.admin, "GET", path)
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {answer.body!r}")
        return answer.json()

    def patch(self, settings):
        """Changes settings at runtime."""
        answer = call(self.admin, "PATCH", "/v1/settings", json.dumps(settings), {"content-type": "application/json"})
        if answer.status != 200:
            raise RuntimeError(f"{settings}: {answer.status} {answer.body!r}")

    def metrics(self):
        return call(self.admin, "GET", "/metrics").body.decode()

    def total(self, metric, **labels):
        """The sum of a metric's series that have these labels."""
        series = re.compile(rf"^{metric}(?:{{(.*)}})? (\S+)$", re.MULTILINE)
        wanted = {f'{name}="{value}"' for name, value in labels.items()}
        found = series.findall(self.metrics())
        return sum(float(value) for has, value in found if all(label in has for label in wanted))

    def wait_until_quiet(self, sampled_at_least=1, seconds=30):
        """Until every sample has its outcome; how many there were."""

        def is_quiet():
            sampled = self.total("twinread_sampled_total")
            outcomes = self.total("twinread_checks_total")
            return sampled >= sampled_at_least and sampled == outcomes

        wait_for("an outcome for every sample", is_quiet, seconds)
        return int(self.total("twinread_sampled_total"))

    def stored(self, path):
        """What the admin API says of the store, once it holds every check that has ended."""

        def page():
            page = self.ask(path)
            return page if page["waiting"] == 0 else None

        return wait_for("everything to be stored", page)

    def stored_suggestions(self):
        """What would explain the mismatches, once all of them are stored."""
        self.stored("/v1/classes")
        return self.ask("/v1/rules/suggestions")

    def suggested_file(self):
        """A rule file of all suggestions, each with a reason, and with every decision taken."""
        command = [self.twinread, "rules", "suggest", "--admin", f"http://{LOCALHOST}:{self.admin}"]
        text = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        file = self.file.with_suffix(".suggested.yaml")
        self.file.with_suffix(".printed.yaml").write_text(text)
        decided = re.sub(r"^#(?=-|  )", "", text, flags=re.MULTILINE)
        file.write_text(decided.replace("say why", "a test of suggestions"))
        return file

    def classes(self):
        """The classes of mismatches as (route, place, kind)."""
        classes = self.stored("/v1/classes")["classes"]
        return {(each["route"], each["place"], each["kind"]) for each in classes}


@contextlib.contextmanager
def nginx_and_caddy(tools, name, nginx, caddyfile):
    """Real nginx as old and real Caddy as new, by their configurations. Yields both ports, and a function that writes a file.

    `SCRATCH`, `OLD` and `NEW` are replaced in the files.
    """
    old, new = free_port(), free_port()

    def configured(file, text):
        path = tools.scratch / file
        path.write_text(text.replace("SCRATCH", str(tools.scratch)).replace("OLD", str(old)).replace("NEW", str(new)))
        return path

    of_old = ["nginx", "-c", configured(f"nginx-{name}.conf", nginx), "-e", "stderr"]
    of_new = [tools.venv / "caddy", "run", "--adapter", "caddyfile", "--config", configured(f"Caddyfile-{name}", caddyfile)]
    with Process(tools, f"nginx-{name}", of_old) as old_stack, Process(tools, f"caddy-{name}", of_new) as new_stack:
        old_stack.wait_for_port(old)
        new_stack.wait_for_port(new)
        yield old, new, configured


@contextlib.contextmanager
def prometheus_of(tools, name, scraped):
    """The port of a real Prometheus with our alerts; `scraped` has the admin port of each instance."""
    port, file = free_port(), tools.scratch / f"{name}.yml"
    targets = [{"targets": [f"{LOCALHOST}:{admin}"], "labels": {"instance": instance}} for instance, admin in scraped.items()]
    file.write_text(PROMETHEUS.replace("ALERTS", str(ALERTS)).replace("TARGETS", json.dumps(targets)))
    command = [
        "prometheus", f"--config.file={file}", f"--web.listen-address={LOCALHOST}:{port}",
        f"--storage.tsdb.path={tools.scratch / f'tsdb-{time.time_ns()}'}",
    ]  # fmt: skip
    with Process(tools, name, command) as process:
        process.wait_for_port(port)
        yield port
