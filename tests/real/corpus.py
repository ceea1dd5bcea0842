"""Pairs of JSON answers for engines to agree on: generated ones, and real ones with real changes made to them.

The same every time. A pair is equal or different by construction only where a respelling or a mutation says so; what
it is in truth, `Reading` tells from the text.
"""

import decimal
import glob
import json
import random

LEAVES = ["null", "true", "false", "0", "1", "1.0", "-0", "-0.0", "10", "1e1", "0.1", "1.10", "100", "1E2", '""', '"1"', '"a"',
          '"\\u0061"', '"\\u00e9"', '"e\\u0301"', '"\\ud83d\\ude00"', '"😀"', '"\\ud800"', '"\\n"', '"\\u0000"', '"null"',
          "[]", "{}", "9007199254740992", "9007199254740993", "0.30000000000000004", "0.3", "1e400", "1e401",
          "0.1000000000000000055511151231257827", "123456789012345678901234567890"]
NAMES = ["id", "name", "items", "a b", "é", "", "$", "0", "nested", "type"]


class Text(str):
    """A value as JSON spells it."""


def pairs(botocore):
    """Every pair: its name, whether order counts, the two texts."""
    yield from edges()
    yield from generated(random.Random(3))
    yield from real(random.Random(4), botocore)


def edges():
    for one, old in enumerate(LEAVES):
        for other, new in enumerate(LEAVES):
            if one <= other:
                yield f"edge {old} {new}", "ordered", f'{{"v":[{old}]}}', f'{{"v": [{new}]}}'
    for name, old, new in [
        ("key twice", '{"a":1,"a":2}', '{"a":2}'),
        ("key twice on both", '{"a":1,"a":2}', '{"a":3,"a":2}'),
        ("key twice, spelled otherwise", '{"a":1,"\\u0061":2}', '{"a":2}'),
        ("deep", "[" * 100 + "1" + "]" * 100, "[" * 100 + "2" + "]" * 100),
        ("deeper than compared", "[" * 200 + "1" + "]" * 200, "[" * 200 + "1.0" + "]" * 200),
    ]:
        yield name, "ordered", old, new


def generated(dice, count=1800):
    for n in range(count):
        old = document(dice, 4)
        change = dice.choice(["none", "one", "one", "two", "shuffle", "another"])
        new = changed(dice, old, change)
        order = "unordered" if change == "shuffle" or n % 3 == 0 else "ordered"
        yield f"generated {n}, {change}", order, spelled(dice, old), spelled(dice, new)


def real(dice, botocore, count=900):
    """Answers that AWS documents as examples."""
    answers = []
    for file in sorted(glob.glob(f"{botocore}/data/*/*/examples-1.json")):
        with open(file, encoding="utf-8") as text:
            examples = json.load(text)["examples"]
        answers += [case["output"] for cases in examples.values() for case in cases if case.get("output")]
    answers = [answer for answer in answers if len(json.dumps(answer)) < 4000]
    for n, answer in enumerate(dice.sample(answers, min(count, len(answers)))):
        old = exact(answer)
        change = dice.choice(["none", "one", "two", "shuffle", "another"])
        new = exact(dice.choice(answers)) if change == "another" else changed(dice, old, change)
        order = "unordered" if change == "shuffle" or n % 3 == 0 else "ordered"
        yield f"real {n}, {change}", order, spelled(dice, old), spelled(dice, new)


def exact(value):
    """A value read by the json module, its leaves as they are spelled."""
    if isinstance(value, dict):
        return {name: exact(member) for name, member in value.items()}
    if isinstance(value, list):
        return [exact(member) for member in value]
    return Text(json.dumps(value))


def document(dice, depth):
    kind = dice.random()
    if depth == 0 or kind < 0.3:
        return Text(dice.choice(LEAVES[:26]))
    if kind < 0.6:
        return [document(dice, depth - 1) for _ in range(dice.randrange(5))]
    return {dice.choice(NAMES): document(dice, depth - 1) for _ in range(dice.randrange(5))}


def changed(dice, value, change):
    if change == "another":
        return document(dice, 4)
    if change == "shuffle":
        return shuffled(dice, value)
    for _ in range({"none": 0, "one": 1, "two": 2}[change]):
        value = mutated(dice, value)
    return value


def shuffled(dice, value):
    if isinstance(value, dict):
        return {name: shuffled(dice, member) for name, member in value.items()}
    if isinstance(value, list):
        members = [shuffled(dice, member) for member in value]
        dice.shuffle(members)
        return members
    return value


def mutated(dice, value):
    """One change somewhere: a value, a type, a removal, an insertion, a swap, a duplicate, a name."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        name = dice.choice(list(value))
        if dice.random() < 0.2:
            return {("renamed" if key == name else key): member for key, member in value.items()}
        return {**value, name: mutated(dice, value[name])}
    if isinstance(value, list) and value and dice.random() < 0.9:
        at, to = dice.randrange(len(value)), dice.randrange(len(value))
        members = list(value)
        match dice.randrange(6):
            case 0:
                del members[at]
            case 1:
                members.insert(to, Text(dice.choice(LEAVES[:26])))
            case 2:
                members[at], members[to] = members[to], members[at]
            case 3:
                members.insert(to, members[at])
            case _:
                members[at] = mutated(dice, members[at])
        return members
    return Text(dice.choice(LEAVES[:26]))


def spelled(dice, value):
    """As text: members in any order, white space, numbers and strings spelled otherwise."""
    space = dice.choice(["", "", " ", "\n "])
    if isinstance(value, dict):
        names = list(value)
        dice.shuffle(names)
        members = [f"{json.dumps(name, ensure_ascii=dice.random() < 0.5)}{space}:{spelled(dice, value[name])}" for name in names]
        return "{" + ("," + space).join(members) + "}"
    if isinstance(value, list):
        return "[" + space + ",".join(spelled(dice, member) for member in value) + "]"
    return str(value)


class Reading:
    """What a text says, in the ways in which engines read it."""

    def __init__(self, text):
        self.text = text
        self.depth = max_depth(text)
        self.has_keys_twice = False
        self.value = json.loads(text, parse_int=Number, parse_float=Number, object_pairs_hook=self.members)

    def members(self, pairs):
        names = [name for name, _ in pairs]
        self.has_keys_twice |= len(names) != len(set(names))
        return dict(pairs)

    def canonical(self, order, number, booleans):
        """A value that is equal to that of another text where the two say the same."""

        def of(value):
            match value:
                case dict():
                    return "object", sorted(((name, of(member)) for name, member in value.items()), key=repr)
                case list():
                    members = [of(member) for member in value]
                    return "array", sorted(members, key=repr) if order == "unordered" else members
                case Number():
                    return "number", number(value)
                case bool() if booleans == "as numbers":
                    return "number", number(str(int(value)))
                case _:
                    return type(value).__name__, value

        return of(self.value)


class Number(str):
    """A number as it is spelled."""


EXACT = decimal.Context(prec=100, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)


def exact_number(spelling):
    number = decimal.Decimal(spelling).normalize(EXACT)
    return number if number else decimal.Decimal(0)


def double(spelling):
    return float(spelling) + 0


def max_depth(text):
    depth = deepest = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    return deepest
