"""Measures CPU time per request of twinread, nginx, HAProxy and Envoy as proxies, at one rate, in interleaved rounds.

The proxy has one core, load and stacks the other. CPU time is the sum over all threads of the proxy's
processes, from /proc, until the last check is done; wall time is not looked at. Ratios are those within each round, since
the machine's speed drifts between them; figures and ratios are medians over the rounds.
(Traefik is in no registry that serves Debian, PyPI or npm packages.)
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import sys

from harness import Process, Sidecar, Tools, call, free_port, wait_for
from ways import WAYS, write_certificate

HERE = pathlib.Path(__file__).parent
PROXY_CORE, LOAD_CORE = {0}, {1}

# Requests a second for each size: below what the slowest proxy can do with one core.
RATES = {"1k": 4000, "16k": 4000, "256k": 800, "reordered": 4000}

# What is measured: the server, and for twinread the share of reads checked.
PROXIES = {
    "nginx": ("nginx", None),
    "nginx mirror": ("nginx-mirror", None),
    "haproxy": ("haproxy", None),
    "envoy": ("envoy", None),
    "envoy mirror": ("envoy-mirror", None),
    "twinread 0 %": ("twinread", 0.0),
    "twinread 1 %": ("twinread", 0.01),
    "twinread 10 %": ("twinread", 0.1),
    "twinread 100 %": ("twinread", 1.0),
}

# Over which ways each size is measured, and by which proxies. (This nginx speaks HTTP/1.1 alone to its stacks.)
FORWARDING = ["nginx", "haproxy", "envoy", "twinread 0 %"]
CASES = [
    ("h1", ("1k", "16k"), list(PROXIES)),
    ("h1", ("256k",), list(PROXIES)),
    ("h1", ("reordered",), ["envoy mirror", "twinread 100 %"]),
    ("tls", ("1k", "16k"), FORWARDING),
    ("h2", ("1k", "16k"), FORWARDING[1:]),
    ("grpc", ("1k",), FORWARDING[1:]),
]

# What is measured, against what, over which way, on which sizes, the bound, and the aim.
RATIOS = [
    ("twinread 0 %", "nginx", "h1", ("1k", "16k"), 1.15, 0.95),
    ("twinread 0 %", "envoy", "h1", ("1k", "16k"), 0.45, 0.33),
    ("twinread 0 %", "envoy", "tls", ("1k", "16k"), 0.6, 0.45),
    ("twinread 0 %", "envoy", "h2", ("1k", "16k"), 0.6, 0.45),
    ("twinread 0 %", "envoy", "grpc", ("1k",), 0.6, 0.45),
    ("twinread 100 %", "nginx mirror", "h1", ("1k", "16k"), 0.65, 0.45),
    ("twinread 100 %", "envoy mirror", "h1", ("1k", "16k"), 0.55, 0.42),
    ("twinread 100 %", "envoy mirror", "h1", ("256k",), 0.95, 0.75),
    ("twinread 100 %", "envoy mirror", "h1", ("reordered",), 1.2, 0.8),
    ("twinread 1 %", "twinread 0 %", "h1", ("1k", "16k"), 1.05, 1.02),
]

# A figure "every read checked" counts only above this share of checks compared.
COMPARED = 0.98


def arguments_of(description):
    """What both benches take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--twinread", required=True)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--seconds", type=float, default=2.0, help="of load for each figure and round")
    parser.add_argument("--rounds", type=int, default=11)
    return parser


def main():
    parser = arguments_of(__doc__)
    parser.add_argument("--only", default=",".join(PROXIES), help="proxies to measure, by name")
    parser.add_argument("--ways", default=",".join(WAYS), help="protocols to measure over")
    parser.add_argument("--sizes", default=",".join(RATES), help="files to ask for")
    arguments = parser.parse_args()
    only, ways, sizes = (value.split(",") for value in (arguments.only, arguments.ways, arguments.sizes))
    cases = [
        (way, size, name)
        for way, of_way, names in CASES
        for size in of_way
        for name in names
        if way in ways and size in sizes and name in only
    ]

    bench = Bench(arguments)
    try:
        bench.start_stacks()
        for way, server in sorted({(way, PROXIES[name][0]) for way, _, name in cases}):
            bench.start_proxy(way, server)
        bench.measure(cases)
    finally:
        bench.stop()
    bench.report()


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.tools = Tools(arguments.scratch)
        # By way and server; figures and shares by way, size and name.
        self.processes, self.ports, self.figures, self.shares = {}, {}, {}, {}

    def start_stacks(self):
        os.sched_setaffinity(0, LOAD_CORE)
        scratch = self.tools.scratch
        write_files(scratch)
        write_certificate(scratch)
        names = ("OLD_H1", "OLD_TLS", "OLD_H2", "OLD_GRPC", "NEW_H1")
        self.words = {"SCRATCH": str(scratch), **{name: str(free_port()) for name in names}}
        self.processes["stacks"] = stacks = self.nginx("stacks.conf", "stacks", {})
        echo = ["nghttpd", "--no-tls", "--echo-upload", "--trailer=grpc-status: 0", self.words["OLD_GRPC"]]
        self.processes["echo"] = Process(self.tools, "echo", echo).wait_for_port(int(self.words["OLD_GRPC"]))
        for name in ("OLD_H1", "OLD_TLS", "OLD_H2", "NEW_H1"):
            stacks.wait_for_port(int(self.words[name]))

    def start_proxy(self, way, server):
        os.sched_setaffinity(0, PROXY_CORE)
        kind, _, mirror = server.partition("-")
        name = f"{way}-{server}"
        words = self.words_of(way, name)
        if kind == "twinread":
            configuration = self.configured("twinread.yaml", words)
            process = Sidecar(self.tools, self.arguments.twinread, f"bench-{name}", configuration)
            port = process.listen
        else:
            port = free_port()
            words["LISTEN"] = str(port)
            process = self.peer(kind, name, mirror, words).wait_for_port(port)
        self.processes[way, server], self.ports[way, server] = process, port
        os.sched_setaffinity(0, LOAD_CORE)

    def words_of(self, way, name):
        old = self.words[f"OLD_{way.upper()}"]
        return {"NAME": name, "OLD": old, "NEW": self.words["NEW_H1"], "BUDGET": "1GiB", **WAYS[way].words}

    def peer(self, kind, name, mirror, words):
        if kind == "nginx":
            words["MIRROR"] = "mirror /mirror; mirror_request_body off;" if mirror else ""
            return self.nginx("nginx.conf", name, words)
        if kind == "haproxy":
            file = self.written(f"{name}.cfg", "haproxy.cfg", words)
            return Process(self.tools, name, ["haproxy", "-db", "-f", file])
        words["MIRROR"] = "{cluster: new}" if mirror else ""
        (binary,) = self.tools.scratch.glob("venv/lib/python3*/site-packages/envoy/_bin/envoy")
        file = self.written(f"{name}.yaml", "envoy.yaml", words)
        command = [binary, "-c", file, "--concurrency", "1", "--log-level", "warning", "--disable-hot-restart"]
        return Process(self.tools, name, command)

    def nginx(self, configuration, name, words):
        file = self.written(f"{name}.conf", configuration, words)
        return Process(self.tools, name, ["nginx", "-c", file, "-e", "stderr"])

    def written(self, name, configuration, words):
        file = self.tools.scratch / name
        file.write_text(self.configured(configuration, words))
        return file

    def configured(self, name, words):
        lines = (HERE / name).read_text().splitlines(keepends=True)
        text = "".join(line for line in lines if not line.startswith("#"))
        # Twice, since what stands for a word may hold another one.
        for word, value in [*words.items(), *self.words.items()]:
            text = re.sub(rf"\b{word}\b", lambda _, value=value: value, text)
        return text

    def stop(self):
        for process in reversed(list(self.processes.values())):
            process.stop()

    def measure(self, cases):
        for round_number in range(self.arguments.rounds + 1):
            for case in cases:
                # The first round only warms up what is cached: files, connections, code.
                seconds = self.arguments.seconds if round_number else 0.5
                figure = self.measure_once(case, seconds)
                if round_number:
                    self.figures.setdefault(case, []).append(figure)
            print(f"round {round_number} of {self.arguments.rounds}", file=sys.stderr, flush=True)

    def measure_once(self, case, seconds):
        way, size, name = case
        server, rate = PROXIES[name]
        process = self.processes[way, server]
        if server == "twinread":
            set_rate(process, rate)
            before = outcomes(process)
        requests = int(RATES[size] * seconds)
        cpu = cpu_time(process.child.pid)
        self.load(way, self.ports[way, server], size, requests)
        if server == "twinread":
            process.wait_until_quiet(0)
        spent = cpu_time(process.child.pid) - cpu
        if server == "twinread" and rate:
            self.shares.setdefault(case, []).append(outcomes(process).since(before, requests * rate))
        return spent / requests * 1e6

    def load(self, way, port, size, requests):
        way = WAYS[way]
        rate = RATES[size] / way.connections
        url = f"{way.scheme}://127.0.0.1:{port}/{size}.json"
        options = [option.replace("SCRATCH", self.words["SCRATCH"]) for option in way.load]
        options += [f"-n{requests}", f"-c{way.connections}", "-t1", f"--rps={rate:g}"]
        ran = self.tools.run(["h2load", *options, url])
        succeeded = re.search(r"(\d+) succeeded, (\d+) failed", ran.stdout)
        answered = re.search(r"status codes: (\d+) 2xx", ran.stdout)
        if not succeeded or {int(succeeded[1]), int(answered[1])} != {requests}:
            raise RuntimeError(f"{url}: not every request was answered\n{ran.stdout}{ran.stderr}")

    def report(self):
        medians = {case: statistics.median(figures) for case, figures in self.figures.items()}
        columns = list(dict.fromkeys((way, size) for way, size, _ in medians))
        print("\nµs of CPU per request (median of rounds)\n")
        print(f"{'':16}" + "".join(f"{way + ' ' + size:>14}" for way, size in columns))
        for name in PROXIES:
            cells = [medians.get((way, size, name)) for way, size in columns]
            if any(cells):
                print(f"{name:16}" + "".join(f"{cell:14.1f}" if cell else f"{'':14}" for cell in cells))
        self.report_shares()
        self.report_ratios()

    def report_shares(self):
        if self.shares:
            print("\nchecks compared, of those to be sampled\n")
        for (way, size, name), shares in self.shares.items():
            compared = statistics.mean(share["compared"] for share in shares)
            missed = sum((share["missed"] for share in shares), start=[])
            print(f"{name:16}{way + ' ' + size:>14}{compared:10.1%}  {', '.join(sorted(set(missed))) or 'none missed'}")
            self.shares[way, size, name] = compared

    def report_ratios(self):
        print("\nratios, median [quartiles] of the rounds              ratio               bound     aim\n")
        for name, against, way, sizes, bound, aim in RATIOS:
            for size in sizes:
                ours, theirs = self.figures.get((way, size, name)), self.figures.get((way, size, against))
                if ours and theirs:
                    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
                    low, ratio, high = statistics.quantiles(ratios, n=4, method="inclusive") if ratios[1:] else 3 * ratios
                    said = "over the bound" if ratio > bound else "aim reached" if ratio <= aim else "in bound"
                    if name == "twinread 100 %" and self.shares[way, size, name] < COMPARED:
                        said = "too few reads were checked"
                    what = f"{name} : {against}, {way} {size}"
                    print(f"{what:50}{ratio:9.2f}  [{low:4.2f}, {high:4.2f}]{bound:8.2f}{aim:8.2f}  {said}")


class Outcomes:
    """How many checks ended in which way."""

    def __init__(self, sidecar):
        series = re.compile(r'^twinread_checks_total{(.*)} (\S+)$', re.MULTILINE)
        self.counts = {}
        for labels, value in series.findall(sidecar.metrics()):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            key = (labels["outcome"], labels["detail"])
            self.counts[key] = self.counts.get(key, 0) + float(value)

    def since(self, before, requests):
        grown = {key: count - before.counts.get(key, 0) for key, count in self.counts.items()}
        compared = grown.pop(("match", "exact"), 0) + grown.pop(("match", "rules"), 0)
        missed = [f"{outcome}{{{detail}}} {count:.0f}" for (outcome, detail), count in grown.items() if count]
        return {"compared": compared / requests, "missed": missed}


def outcomes(sidecar):
    return Outcomes(sidecar)


def set_rate(sidecar, rate):
    patch = json.dumps({"sample": {"rate": rate}})
    answer = call(sidecar.admin, "PATCH", "/v1/settings", patch, {"content-type": "application/merge-patch+json"})
    if answer.status != 200:
        raise RuntimeError(f"sample.rate was not set: {answer.status} {answer.body!r}")


def cpu_time(pid):
    """Seconds that all threads of a process and its children have had."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
        for child in (task / "children").read_text().split():
            total += cpu_time(child) * 1e9
    return total / 1e9


def memory(pid, name):
    """MiB of a process: VmRSS now, VmHWM at its peak."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[1]) / 1024


def write_files(scratch):
    """JSON of each size; `reordered` has other white space and key order on the new stack. And a gRPC message."""
    message = bytes(1024)
    (scratch / "message").write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    for stack in ("old", "new"):
        folder = scratch / stack
        folder.mkdir(exist_ok=True)
        for size, length in (("1k", 1 << 10), ("16k", 16 << 10), ("256k", 256 << 10), ("reordered", 16 << 10)):
            document = rows(length)
            if size == "reordered" and stack == "new":
                document = [dict(reversed(row.items())) for row in document]
                text = json.dumps(document, separators=(", ", " : "))
            else:
                text = json.dumps(document, separators=(",", ":"))
            file = folder / f"{size}.json"
            file.write_text(text)
            os.utime(file, (1_700_000_000, 1_700_000_000))


def rows(length):
    """Rows of a list as an API gives it, until their JSON has about that length."""
    found, size = [], 2
    while size < length:
        row = len(found)
        found.append({
            "id": 100_000 + row,
            "name": f"product number {row}",
            "price": {"amount": 4.5 + row * 0.25, "currency": "EUR"},
            "tags": ["stoneware", "blue", "handmade"],
            "released": f"2024-03-{1 + row % 28:02}T09:00:00Z",
            "in_stock": row % 3 == 0,
        })
        size += len(json.dumps(found[-1], separators=(",", ":"))) + 1
    return found


if __name__ == "__main__":
    main()
