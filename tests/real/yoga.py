"""graphql-yoga as both stacks: every query is checked, and no mutation is ever executed twice, however it is asked for."""

import json
import pathlib
import urllib.parse

from harness import Process, Sidecar, call, free_port

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD'}
new: {url: 'http://127.0.0.1:NEW', max_per_second: 100000}
reads:
  - {methods: [GET, POST], path: /graphql, graphql: query}
sample: {rate: 1.0, max_per_second: 100000}
recheck: {after: []}
"""

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
ROUNDS = 3


def run(checks, tools, twinread):
    adapter = pathlib.Path(__file__).parent / "adapters" / "yoga.cjs"
    old, new = free_port(), free_port()
    server = ["env", f"NODE_PATH={tools.scratch}/npm/node_modules", "node", adapter]
    configuration = CONFIGURATION.replace("OLD", str(old)).replace("NEW", str(new))
    with (
        Process(tools, "yoga-old", [*server, old]) as of_old,
        Process(tools, "yoga-new", [*server, new]) as of_new,
    ):
        of_old.wait_for_port(old)
        of_new.wait_for_port(new)
        with Sidecar(tools, twinread, "yoga", configuration) as sidecar:
            check(checks, sidecar, (old, new))


def check(checks, sidecar, stacks):
    asked = [each for number in range(ROUNDS) for each in queries(number)]
    for name, request in asked:
        answer = send(sidecar, request)
        checks.that(f"answered: {name}", answer.status == 200 and "item" in answer.body.decode(), answer.body)
    sampled = sidecar.wait_until_quiet(len(asked))
    checks.equal("every query was checked", sampled, len(asked))
    matches = sidecar.total("twinread_checks_total", outcome="match")
    checks.equal("and matched", int(matches), len(asked))

    ran = {name: mutation for number in range(ROUNDS) for name, mutation in mutations(number)}
    for request in ran.values():
        send(sidecar, request)
    # What was wrongly sampled would be on its way: a last read comes after it.
    sampled += 1
    send(sidecar, queries(0)[0][1])
    checks.equal("no mutation was sampled", sidecar.wait_until_quiet(sampled), sampled)
    old, new = (call(port, "GET", "/executed").json() for port in stacks)
    for name in ran:
        checks.that(f"at most once on old, never on new: {name}", old.get(name, 0) <= 1 and name not in new, (old, new))
    print(f"      {len(asked)} queries checked, {len(old)} of {len(ran)} mutations executed")
    checks.that("the disguises work", len(old) >= len(ran) * 2 / 3, (sorted(ran), old))


def send(sidecar, request):
    method, path, body, headers = request
    return call(sidecar.listen, method, path, body, headers)


def post(document, path="/graphql"):
    return "POST", path, json.dumps(document), JSON


def two(name, number, mutation):
    """A query and a mutation; which of them is run is up to the name."""
    text = f'query A {{item(id: {number})}} mutation B {{pay(id: "{mutation}")}}'
    return {"query": text} if name is None else {"query": text, "operationName": name}


def queries(number):
    """Each kind of query with the request that asks for it."""
    text = f"query Item($id: Int!) {{item(id: $id)}} # mutation {{pay(id: \"never-{number}\")}}"
    get = urllib.parse.urlencode({"query": f"{{item(id: {number})}}"})
    return [
        ("anonymous", post({"query": f"{{item(id: {number})}}"})),
        ("with variables", post({"query": text, "variables": {"id": number}, "operationName": "Item"})),
        ("of two, by name", post(two("A", number, "never"))),
        ("of two, by query string", post(two(None, number, "never"), "/graphql?operationName=A")),
        ("by GET", ("GET", f"/graphql?{get}", None, {"accept": "application/json"})),
    ]


def mutations(number):
    """Each disguise of a mutation by the id that it pays."""
    item = {"query": f"{{item(id: {number})}}"}

    def pay(name):
        return f'mutation {{pay(id: "{name}-{number}")}}'

    def encoded(name):
        return urllib.parse.quote(pay(name))

    body = json.dumps(item)
    twice = body[:-1] + ', "query": ' + json.dumps(pay("twice")) + "}"
    get = {"accept": "application/json"}
    requests = {
        "plain": post({"query": pay("plain")}),
        "by-name": post(two("B", number, f"by-name-{number}")),
        "by-query-string": post(two(None, number, f"by-query-string-{number}"), "/graphql?operationName=B"),
        "both-named": post(two("B", number, f"both-named-{number}"), "/graphql?operationName=A"),
        "document-in-query-string": post({"variables": {}}, f"/graphql?query={encoded('document-in-query-string')}"),
        "batch": post([item, {"query": pay("batch")}]),
        "form": ("POST", "/graphql", f"query={encoded('form')}", FORM),
        "form-behind-json": ("POST", "/graphql", f"{body}&query={encoded('form-behind-json')}", FORM),
        "twice": ("POST", "/graphql", twice, JSON),
        "commented": post({"query": f"# query {{item(id: 1)}}\n{pay('commented')}"}),
        # Of a server that is right, a GET executes no mutation.
        "get": ("GET", f"/graphql?query={encoded('get')}", None, get),
    }
    return [(f"{name}-{number}", request) for name, request in requests.items()]
