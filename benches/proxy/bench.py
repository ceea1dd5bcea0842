"""Measures CPU time per request of twinread, nginx and Envoy as proxies, at one rate, in interleaved rounds.

The proxy has one core, load and stacks the other. CPU time is the sum over all threads of the proxy's
processes, from /proc, until the last check is done. Medians over the rounds; wall time is not looked at.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import sys

from harness import Process, Sidecar, Tools, call, free_port, wait_for

HERE = pathlib.Path(__file__).parent
PROXY_CORE, LOAD_CORE = {0}, {1}
CONNECTIONS = 32

# Requests a second for each size: below what the slowest proxy can do with one core.
RATES = {"1k": 4000, "16k": 4000, "256k": 800, "reordered": 4000}

# What is measured: the server, and for twinread the share of reads checked.
PROXIES = {
    "nginx": ("nginx", None),
    "nginx mirror": ("nginx-mirror", None),
    "envoy": ("envoy", None),
    "envoy mirror": ("envoy-mirror", None),
    "twinread 0 %": ("twinread", 0.0),
    "twinread 1 %": ("twinread", 0.01),
    "twinread 10 %": ("twinread", 0.1),
    "twinread 100 %": ("twinread", 1.0),
}

# What is measured, against what, on which sizes, the bound, and the aim.
RATIOS = [
    ("twinread 0 %", "nginx", ("1k", "16k"), 1.3, 1.05),
    ("twinread 0 %", "envoy", ("1k", "16k"), 0.5, 0.35),
    ("twinread 100 %", "nginx mirror", ("1k", "16k"), 0.75, 0.5),
    ("twinread 100 %", "envoy mirror", ("1k", "16k"), 0.7, 0.45),
    ("twinread 100 %", "envoy mirror", ("256k",), 1.0, 0.8),
    ("twinread 100 %", "envoy mirror", ("reordered",), 1.6, 1.2),
    ("twinread 1 %", "twinread 0 %", ("1k", "16k"), 1.05, 1.02),
]


def arguments_of(description):
    """What both benches take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--twinread", required=True)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--seconds", type=float, default=2.0, help="of load for each figure and round")
    parser.add_argument("--rounds", type=int, default=3)
    return parser


def main():
    parser = arguments_of(__doc__)
    parser.add_argument("--only", default=",".join(PROXIES), help="proxies to measure, by name")
    parser.add_argument("--sizes", default=",".join(RATES), help="files to ask for")
    arguments = parser.parse_args()
    arguments.only = arguments.only.split(",")
    arguments.sizes = arguments.sizes.split(",")

    bench = Bench(arguments)
    try:
        bench.start()
        bench.measure()
    finally:
        bench.stop()
    bench.report()


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.tools = Tools(arguments.scratch)
        self.processes, self.ports, self.figures, self.shares = {}, {}, {}, {}

    def start(self):
        os.sched_setaffinity(0, LOAD_CORE)
        scratch = self.tools.scratch
        write_files(scratch)
        self.words = {"SCRATCH": str(scratch), "OLD": str(free_port()), "NEW": str(free_port())}
        self.processes["stacks"] = self.nginx("stacks.conf", "stacks", {})
        for port in ("OLD", "NEW"):
            self.processes["stacks"].wait_for_port(int(self.words[port]))
        os.sched_setaffinity(0, PROXY_CORE)
        for server in {PROXIES[name][0] for name in self.arguments.only}:
            self.start_proxy(server)
        os.sched_setaffinity(0, LOAD_CORE)

    def start_proxy(self, server):
        if server == "twinread":
            configuration = self.configured("twinread.yaml", {"BUDGET": "1GiB"})
            sidecar = Sidecar(self.tools, self.arguments.twinread, "bench-twinread", configuration)
            self.processes[server], self.ports[server] = sidecar, sidecar.listen
            return
        kind, _, mirror = server.partition("-")
        port = self.ports[server] = free_port()
        words = {"LISTEN": str(port), "NAME": server}
        if kind == "nginx":
            words["MIRROR"] = "mirror /mirror; mirror_request_body off;" if mirror else ""
            process = self.nginx("nginx.conf", server, words)
        else:
            words["MIRROR"] = "{cluster: new}" if mirror else ""
            process = self.envoy(server, words)
        self.processes[server] = process.wait_for_port(port)

    def configured(self, name, words):
        text = (HERE / name).read_text()
        for word, value in {**self.words, **words}.items():
            text = re.sub(rf"\b{word}\b", lambda _, value=value: value, text)
        return text

    def nginx(self, configuration, name, words):
        file = self.tools.scratch / f"{name}.conf"
        file.write_text(self.configured(configuration, words))
        return Process(self.tools, name, ["nginx", "-c", file, "-e", "stderr"])

    def envoy(self, name, words):
        (binary,) = self.tools.scratch.glob("venv/lib/python3*/site-packages/envoy/_bin/envoy")
        file = self.tools.scratch / f"{name}.yaml"
        file.write_text(self.configured("envoy.yaml", words))
        command = [binary, "-c", file, "--concurrency", "1", "--log-level", "warning", "--disable-hot-restart"]
        return Process(self.tools, name, command)

    def stop(self):
        for process in reversed(list(self.processes.values())):
            process.stop()

    def measure(self):
        cases = [
            (size, name)
            for size in self.arguments.sizes
            for name in self.arguments.only
            if size != "reordered" or name in ("envoy mirror", "twinread 100 %")
        ]
        for round_number in range(self.arguments.rounds + 1):
            for size, name in cases:
                # The first round only warms up what is cached: files, connections, code.
                seconds = self.arguments.seconds if round_number else 0.5
                figure = self.measure_once(name, size, seconds)
                if round_number:
                    self.figures.setdefault((size, name), []).append(figure)
            print(f"round {round_number} of {self.arguments.rounds}", file=sys.stderr, flush=True)

    def measure_once(self, name, size, seconds):
        server, rate = PROXIES[name]
        process = self.processes[server]
        if server == "twinread":
            set_rate(process, rate)
            before = outcomes(process)
        requests = int(RATES[size] * seconds)
        cpu = cpu_time(process.child.pid)
        self.load(self.ports[server], size, requests)
        if server == "twinread":
            process.wait_until_quiet(0)
        spent = cpu_time(process.child.pid) - cpu
        if server == "twinread":
            self.shares.setdefault((size, name), []).append(outcomes(process).since(before, requests))
        return spent / requests * 1e6

    def load(self, port, size, requests):
        rate = RATES[size] / CONNECTIONS
        url = f"http://127.0.0.1:{port}/{size}.json"
        options = ["--h1", f"-n{requests}", f"-c{CONNECTIONS}", "-t1", f"--rps={rate:g}"]
        ran = self.tools.run(["h2load", *options, url])
        succeeded = re.search(r"(\d+) succeeded, (\d+) failed", ran.stdout)
        if not succeeded or int(succeeded[1]) != requests:
            raise RuntimeError(f"{url}: not every request was answered\n{ran.stdout}{ran.stderr}")

    def report(self):
        medians = {case: statistics.median(figures) for case, figures in self.figures.items()}
        sizes = self.arguments.sizes
        print("\nµs of CPU per request (median of rounds)\n")
        print(f"{'':16}" + "".join(f"{size:>12}" for size in sizes))
        for name in self.arguments.only:
            cells = [medians.get((size, name)) for size in sizes]
            print(f"{name:16}" + "".join(f"{cell:12.1f}" if cell else f"{'':12}" for cell in cells))
        self.report_shares()
        self.report_ratios(medians)

    def report_shares(self):
        if self.shares:
            print("\nchecks compared, of the requests sent\n")
        for (size, name), shares in self.shares.items():
            compared = statistics.mean(share["compared"] for share in shares)
            missed = sum((share["missed"] for share in shares), start=[])
            print(f"{name:16}{size:>12}{compared:10.1%}  {', '.join(sorted(set(missed))) or 'none missed'}")

    def report_ratios(self, medians):
        print("\nratios                                              size    ratio   bound     aim\n")
        for name, against, sizes, bound, aim in RATIOS:
            for size in sizes:
                ours, theirs = medians.get((size, name)), medians.get((size, against))
                if ours and theirs:
                    ratio = ours / theirs
                    said = "over the bound" if ratio > bound else "aim reached" if ratio <= aim else "in bound"
                    what = f"{name} : {against}"
                    print(f"{what:44}{size:>12}{ratio:9.2f}{bound:8.2f}{aim:8.2f}  {said}")


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
    """JSON of each size; `reordered` has other white space and key order on the new stack."""
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
