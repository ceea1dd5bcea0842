"""Live p99 through twinread: with every read checked against nothing sampled, and with a shadow that hangs. Memory too.

The proxy is not pinned: with load and stacks it shares the machine, as a sidecar shares its host. The cases take turns
within each round, and each figure is the median over the rounds.
"""

import os
import socket
import statistics

from bench import CONNECTIONS, RATES, Bench, arguments_of, memory, set_rate
from harness import LOCALHOST, Sidecar

RATE = 2000  # a second: about half of what the machine sustains with every read checked
SIZE = "1k"

# Case, which sidecar, share of reads checked.
CASES = {
    "nothing sampled": ("healthy", 0.0),
    "every read checked": ("healthy", 1.0),
    "the shadow hangs": ("hanging", 1.0),
}

# What is measured, against what, the bound, and the aim.
RATIOS = [
    ("every read checked", "nothing sampled", 1.2, 1.05),
    ("the shadow hangs", "every read checked", 1.05, 1.0),
]


def main():
    arguments, _ = arguments_of(__doc__).parse_known_args()
    cores = os.sched_getaffinity(0)
    arguments.only, arguments.sizes = [], [SIZE]
    bench = Bench(arguments)
    # A shadow that takes connections and never answers: the backlog is all that it has.
    with socket.create_server((LOCALHOST, 0), backlog=1024) as hanging:
        try:
            bench.start()
            os.sched_setaffinity(0, cores)
            figures = measure(bench, hanging.getsockname()[1])
            mebibytes = measure_memory(bench)
        finally:
            bench.stop()
    report(figures)
    print("\ntwinread's memory with 64 MiB for captures, MiB: at rest {:.0f}, peak {:.0f}".format(*mebibytes))


def measure(bench, hanging):
    for name, words in (("healthy", {}), ("hanging", {"NEW": str(hanging)})):
        configuration = bench.configured("twinread.yaml", {**words, "BUDGET": "64MiB"})
        bench.processes[name] = Sidecar(bench.tools, bench.arguments.twinread, f"bench-{name}", configuration)
    figures = {case: [] for case in CASES}
    # Three times as many rounds as for CPU time: a p99 is the figure that a shared machine disturbs most.
    for round_number in range(3 * bench.arguments.rounds + 1):
        for case, (name, rate) in CASES.items():
            sidecar = bench.processes[name]
            set_rate(sidecar, rate)
            figure = p99(bench, sidecar.listen, bench.arguments.seconds if round_number else 0.5)
            if round_number:
                figures[case].append(figure)
    return figures


def measure_memory(bench):
    """Of a fresh sidecar that checks every read, at rest and at its peak under large answers."""
    configuration = bench.configured("twinread.yaml", {"BUDGET": "64MiB"})
    with Sidecar(bench.tools, bench.arguments.twinread, "bench-memory", configuration) as sidecar:
        set_rate(sidecar, 1.0)
        at_rest = memory(sidecar.child.pid, "VmRSS")
        for size in RATES:
            bench.load(sidecar.listen, size, int(RATES[size] * bench.arguments.seconds))
        return at_rest, memory(sidecar.child.pid, "VmHWM")


def p99(bench, port, seconds):
    """In milliseconds, over all requests."""
    log = bench.tools.scratch / "latency.log"
    log.unlink(missing_ok=True)
    requests = int(RATE * seconds)
    options = ["--h1", f"-n{requests}", f"-c{CONNECTIONS}", "-t1", f"--rps={RATE / CONNECTIONS:g}"]
    url = f"http://{LOCALHOST}:{port}/{SIZE}.json"
    ran = bench.tools.run(["h2load", *options, f"--log-file={log}", url])
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    if len(rows) != requests or any(row[1] != "200" for row in rows):
        raise RuntimeError(f"{url}: not every request was answered\n{ran.stdout}{ran.stderr}")
    return statistics.quantiles([int(row[2]) / 1e3 for row in rows], n=100)[98]


def report(figures):
    medians = {case: statistics.median(values) for case, values in figures.items()}
    print(f"\nlive p99, ms, at {RATE} requests a second\n")
    for case, value in medians.items():
        print(f"{case:24}{value:8.2f}")
    print("\nratios                                            ratio   bound     aim\n")
    for case, against, bound, aim in RATIOS:
        ratio = medians[case] / medians[against]
        print(f"{case + ' : ' + against:46}{ratio:9.2f}{bound:8.2f}{aim:8.2f}")


if __name__ == "__main__":
    main()
