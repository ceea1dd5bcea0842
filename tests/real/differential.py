"""Verdicts of engines that others wrote, on the same pairs: every disagreement is one that disagreements.md explains."""

import collections
import concurrent.futures
import glob
import json
import pathlib
import re

import corpus

HERE = pathlib.Path(__file__).parent
LEAST = 3000

#: twinread compares no deeper unless told to.
MAX_DEPTH = 128

RULES = """rules:
  - {id: root, why: order does not count, at: $, do: unordered}
  - {id: below, why: order does not count, at: $..*, do: unordered}
"""


def run(checks, tools, twinread):
    (botocore,) = glob.glob(str(tools.scratch / "venv/lib/python3*/site-packages/botocore"))
    pairs = [Pair(*pair) for pair in corpus.pairs(botocore)]
    checks.that(f"{len(pairs)} pairs are at least {LEAST}", len(pairs) >= LEAST)
    ours = our_verdicts(tools, twinread, pairs)
    truth = [pair.truth() for pair in pairs]
    wrong = [(pair.name, our, true) for pair, our, true in zip(pairs, ours, truth) if our != true]
    checks.equal("twinread says what the texts say", wrong, [])

    engines = {
        "deepdiff": [str(tools.venv / "python"), HERE / "deepdiff_verdicts.py"],
        "jsondiffpatch": ["node", HERE / "jsondiffpatch_verdicts.mjs", tools.scratch / "npm/node_modules/jsondiffpatch"],
    }
    met = set()
    for engine, command in engines.items():
        asked = [pair for pair in pairs if engine == "deepdiff" or pair.order == "ordered"]
        theirs = verdicts(tools, command, asked)
        met |= compare(checks, engine, zip(asked, theirs))
    documented = set(re.findall(r"^\| `([a-z-]+)`", (HERE / "disagreements.md").read_text(), re.M))
    checks.equal("the classes that were met are those of disagreements.md", sorted(met), sorted(documented))


def compare(checks, engine, verdicts):
    counts, unexplained = collections.Counter(), []
    for pair, theirs in verdicts:
        if theirs == pair.truth():
            counts["agree"] += 1
        elif (reason := explained(engine, pair, theirs)) is None:
            unexplained.append((pair.name, pair.old[:200], pair.new[:200], theirs))
        else:
            counts[reason] += 1
    told = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    checks.that(f"{engine}: {told}; nothing else", not unexplained, unexplained[:10])
    return set(counts) - {"agree"}


def explained(engine, pair, theirs):
    """The class of a disagreement, judged by the texts."""
    if theirs == "equal" and pair.has_keys_twice():
        return "keys-twice"
    if theirs == "equal" and pair.is_too_deep():
        return "depth"
    if engine == "jsondiffpatch" and theirs == "equal" and pair.is_equal(corpus.double):
        return "doubles"
    if engine == "deepdiff" and theirs == "equal" and pair.is_equal(corpus.exact_number, booleans="as numbers"):
        return "booleans"
    if engine == "deepdiff" and "surrogates not allowed" in theirs and pair.has_lone_surrogates():
        return "surrogates"
    return None


class Pair:
    def __init__(self, name, order, old, new):
        self.name, self.order, self.old, self.new = name, order, old, new
        self.readings = [corpus.Reading(old), corpus.Reading(new)]

    def truth(self):
        is_undecodable = self.has_keys_twice() or self.is_too_deep()
        return "equal" if self.is_equal(corpus.exact_number) and not is_undecodable else "different"

    def is_equal(self, number, booleans="apart"):
        one, other = (reading.canonical(self.order, number, booleans) for reading in self.readings)
        return one == other

    def has_keys_twice(self):
        return any(reading.has_keys_twice for reading in self.readings)

    def is_too_deep(self):
        return any(reading.depth > MAX_DEPTH for reading in self.readings)

    def has_lone_surrogates(self):
        return any(re.search(r"\\ud800(?!\\ud)", reading.text) for reading in self.readings)


def our_verdicts(tools, twinread, pairs):
    folder = tools.scratch / "differential"
    folder.mkdir(exist_ok=True)
    (folder / "rules.yaml").write_text(RULES)

    def verdict(numbered):
        number, pair = numbered
        files = [folder / f"{number}.{side}.json" for side in ("old", "new")]
        for file, text in zip(files, (pair.old, pair.new)):
            file.write_text(text, encoding="utf-8")
        rules = ["--rules", folder / "rules.yaml"] if pair.order == "unordered" else []
        done = tools.run([twinread, "compare", *files, "--no-builtin", *rules, "--json"])
        for file in files:
            file.unlink()
        said = "equal" if json.loads(done.stdout)["equal"] else "different"
        return said if done.returncode == (said == "different") else f"{said}, exit code {done.returncode}"

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        return list(threads.map(verdict, enumerate(pairs)))


def verdicts(tools, command, pairs):
    lines = "".join(json.dumps({"order": pair.order, "old": pair.old, "new": pair.new}) + "\n" for pair in pairs)
    done = tools.run(command, input=lines, timeout=600)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    if len(found) != len(pairs):
        raise RuntimeError(f"{command}: {len(found)} verdicts on {len(pairs)} pairs\n{done.stderr}")
    return found
