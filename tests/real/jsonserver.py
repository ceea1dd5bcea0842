"""Two real stacks of two majors: json-server 0.17.4 (npm) is old, 1.0.0-beta.15 is new. Both serve the same file.

They differ in their headers and in the type of ids. Callers may see each of these differences, so `rules suggest` proposes
decisions only. Taken, they are the rules of a second run: they explain all but the places in LEFT, which are defects of the
new one, or rules for a person to write.
"""

import json

from harness import Process, Sidecar, free_port

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD'}
new: {url: 'http://127.0.0.1:NEW'}
sample: {rate: 1.0, max_per_second: 1000}
recheck: {after: [50ms], max_per_second: 1000}
rules: [RULES]
"""

DATA = {
    "posts": [{"id": n, "title": f"post {n}", "views": n * 37 % 100, "tags": ["a", "b"]} for n in range(1, 21)],
    "comments": [{"id": n, "body": f"comment {n}", "postId": n, "rating": n * 7 % 50 / 10} for n in range(1, 21)],
    "profile": {"name": "shop", "active": True},
}

PATHS = [f"/{name}/{n}" for name in ("posts", "comments") for n in range(1, 9)]
PATHS += 2 * ["/posts", "/comments", "/profile", "/posts?_sort=views", "/posts/999", "/nothing"]

# Places and actions; none but those of the body names routes, because all routes have these headers.
DECISIONS = {
    ("header.access-control-allow-*", "ignore"),
    ("header.cache-control", "ignore"),
    ("header.etag", "ignore"),
    ("header.expires", "ignore"),
    ("header.pragma", "ignore"),
    ("header.vary", "ignore"),
    ("$.id", "parse"),
    ("$[*].id", "parse"),
}

# New protects browsers less, and says more of a 404.
LEFT = {("header.x-content-type-options", "missing"), ("$.error", "extra")}


def run(checks, tools, twinread):
    old, new = free_port(), free_port()
    files = [tools.scratch / f"json-server-{name}.json" for name in ("old", "new")]
    for file in files:
        file.write_text(json.dumps(DATA))
    commands = [
        [*tools.json_server("old"), "--quiet", "--port", old, files[0]],
        [*tools.json_server("new"), "--port", new, files[1]],
    ]
    with Process(tools, "json-server-old", commands[0]) as one, Process(tools, "json-server-new", commands[1]) as other:
        one.wait_for_port(old)
        other.wait_for_port(new)
        configuration = CONFIGURATION.replace("OLD", str(old)).replace("NEW", str(new))
        with Sidecar(tools, twinread, "json-server", configuration.replace("RULES", "builtin:http")) as sidecar:
            read(sidecar)
            check_suggestions(checks, sidecar.stored_suggestions())
            rules = sidecar.suggested_file()
        configuration = configuration.replace("RULES", f"builtin:http, {rules}")
        with Sidecar(tools, twinread, "json-server-suggested", configuration) as sidecar:
            read(sidecar)
            left = {(place, kind) for _, place, kind in sidecar.classes()}
            checks.equal("the suggestions explain all but two places", left, LEFT)


def read(sidecar):
    for path in PATHS:
        sidecar.get(path)
    sidecar.wait_until_quiet(len(PATHS))


def check_suggestions(checks, document):
    checks.equal("nothing is suggested that callers may see", document["suggestions"], [])
    rules = [each["rule"] for each in document["decisions"]]
    found = {(rule["at"], rule["do"] if isinstance(rule["do"], str) else next(iter(rule["do"]))) for rule in rules}
    checks.equal("each decision is named", found, DECISIONS)
    named = {rule["at"] for rule in rules if "when" in rule}
    checks.equal("a header of all routes names none", named, {"$.id", "$[*].id"})
    checks.equal("no built-in file explains much of it", document["builtin"], [])
