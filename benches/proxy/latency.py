"""Live p99 through twinread: with every read checked against nothing sampled, and with a shadow that hangs. Memory too.

The proxy is not pinned: with load and stacks it shares the machine, as a sidecar shares its host. The cases take turns
within each round. A figure is the median of the rounds' ratios, with its 95 % interval by order statistics
(David and Nagaraja, Order Statistics, section 7.1); a bound holds if the lower end does.
"""

import math
import os
import socket
import statistics

from bench import RATES, Bench, arguments_of, memory, set_rate
from harness import LOCALHOST, Sidecar
from ways import WAYS

RATE = 2000  # a second: about half of what the machine sustains with every read checked
SIZE = "1k"
PAIRS = 20  # at least

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
    bench = Bench(arguments)
    # A shadow that takes connections and never answers: the backlog is all that it has.
    with socket.create_server((LOCALHOST, 0), backlog=1024) as hanging:
        try:
            bench.start_stacks()
            os.sched_setaffinity(0, cores)
            figures = measure(bench, hanging.getsockname()[1])
            mebibytes = measure_memory(bench)
        finally:
            bench.stop()
    report(figures)
    print("\ntwinread's memory with 64 MiB for captures, MiB: at rest {:.0f}, peak {:.0f}".format(*mebibytes))


def sidecar(bench, name, words=None):
    words = {**bench.words_of("h1", name), "BUDGET": "64MiB", **(words or {})}
    return Sidecar(bench.tools, bench.arguments.twinread, f"bench-{name}", bench.configured("twinread.yaml", words))


def measure(bench, hanging):
    for name, words in (("healthy", {}), ("hanging", {"NEW": str(hanging)})):
        bench.processes[name] = sidecar(bench, name, words)
    figures = {case: [] for case in CASES}
    for round_number in range(max(PAIRS, bench.arguments.rounds) + 1):
        for case, (name, rate) in CASES.items():
            process = bench.processes[name]
            set_rate(process, rate)
            figure = p99(bench, process.listen, bench.arguments.seconds if round_number else 0.5)
            if round_number:
                figures[case].append(figure)
    return figures


def measure_memory(bench):
    """Of a fresh sidecar that checks every read, at rest and at its peak under large answers."""
    with sidecar(bench, "memory") as process:
        set_rate(process, 1.0)
        at_rest = memory(process.child.pid, "VmRSS")
        for size in RATES:
            bench.load("h1", process.listen, size, int(RATES[size] * bench.arguments.seconds))
        return at_rest, memory(process.child.pid, "VmHWM")


def p99(bench, port, seconds):
    """In milliseconds, over all requests."""
    log = bench.tools.scratch / "latency.log"
    log.unlink(missing_ok=True)
    requests = int(RATE * seconds)
    connections = WAYS["h1"].connections
    options = ["--h1", f"-n{requests}", f"-c{connections}", "-t1", f"--rps={RATE / connections:g}"]
    url = f"http://{LOCALHOST}:{port}/{SIZE}.json"
    ran = bench.tools.run(["h2load", *options, f"--log-file={log}", url])
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    if len(rows) != requests or any(row[1] != "200" for row in rows):
        raise RuntimeError(f"{url}: not every request was answered\n{ran.stdout}{ran.stderr}")
    return statistics.quantiles([int(row[2]) / 1e3 for row in rows], n=100)[98]


def report(figures):
    print(f"\nlive p99, ms, at {RATE} requests a second (median of rounds)\n")
    for case, values in figures.items():
        print(f"{case:24}{statistics.median(values):8.2f}")
    print("\nratios (median of pairs)                          ratio        95 %   bound     aim\n")
    for case, against, bound, aim in RATIOS:
        ratios = sorted(ours / theirs for ours, theirs in zip(figures[case], figures[against], strict=True))
        low, high = interval(ratios)
        ratio = statistics.median(ratios)
        said = "over the bound" if low > bound else "aim reached" if ratio <= aim else "in bound"
        print(f"{case + ' : ' + against:46}{ratio:9.2f}  {low:4.2f}-{high:4.2f}{bound:8.2f}{aim:8.2f}  {said}")


def interval(values):
    """The 95 % interval of the median of sorted values: those of ranks k and n + 1 - k."""
    count = len(values)
    below, rank = 0.5**count, 0
    # P(fewer than `rank + 1` values are below the median), from Binomial(n, 1/2).
    while below <= 0.025:
        rank += 1
        below += math.comb(count, rank) * 0.5**count
    return values[max(rank - 1, 0)], values[min(count - rank, count - 1)]


if __name__ == "__main__":
    main()
