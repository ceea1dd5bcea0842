"""Two real stacks that speak DynamoDB: dynalite (npm) is old, moto (PyPI) is new.

Reads are POSTs, told by a header. Both hold the same table; what the two servers answer differently was
found by asking both directly, and is listed below read by read. Everything else must match under builtin:aws: the
two write their members in another order, with other white space, with their own ids, sums and server names, the
members of sets in another order and numbers in another spelling.
"""

import json

from harness import Process, Sidecar, call, free_port

SIGNATURE = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/dynamodb/aws4_request, "
    f"SignedHeaders=host;x-amz-date;x-amz-target, Signature={SIGNATURE}"
)

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD'}
new: {url: 'http://127.0.0.1:NEW', timeout: 20s}
reads:
  - {methods: [POST], header: {x-amz-target: '^DynamoDB_\\d+\\.(GetItem|Query|Scan|BatchGetItem)$'}}
routes:
  - {name: '{case}', header: {x-case: '^(?<case>.+)$'}}
sample: {rate: 1.0, max_per_second: 1000}
recheck: {RECHECK}
rules: [builtin:http, RULES]
redact: {values: shown}
"""

# What builtin:aws cannot know of this service and of these two servers.
OWN = """
rules:
  - {id: scans, why: a scan has no order, when: {routes: ['scan-*']}, at: $.Items, do: unordered}
  - {id: cors, why: only one of them allows browsers, at: header.access-control-allow-origin, do: ignore}
  - {id: error-type, why: 'the same is in the body, from where SDKs of this protocol take it', at: header.x-amzn-errortype, do: ignore}
  - {id: error-status, why: the status line says the same, at: header.status, do: ignore}
"""

TABLE = {
    "TableName": "catalogue",
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


def key(pk, sk):
    return {"pk": {"S": pk}, "sk": {"S": sk}}


# The migration copied every item, and the members of one set in another order.
TAGS = ["tea", "pot", "blue"]
ITEMS = [
    {**key("p1", "a"), "name": {"S": "Teapot"}, "price": {"N": "9.90"}, "tags": {"SS": TAGS}},
    {**key("p1", "b"), "name": {"S": "Cup"}, "price": {"N": "4.50"}, "sizes": {"NS": ["3", "1", "2"]}},
    {**key("p2", "a"), "nested": {"M": {"x": {"L": [{"N": "1"}, {"BOOL": True}, {"NULL": True}]}}}},
    {**key("p3", "a"), "name": {"S": "Plain"}},
    {**key("p3", "b"), "blob": {"B": "aGVsbG8="}, "big": {"N": "123456789012345678901234567890"}},
]

P1 = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "p1"}}}
P3 = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "p3"}}}
KEYS = {"ProjectionExpression": "pk, sk"}


def get(pk, sk, **more):
    return "GetItem", {"TableName": "catalogue", "Key": key(pk, sk), **more}


def query(**more):
    return "Query", {"TableName": "catalogue", **more}


def scan(**more):
    return "Scan", {"TableName": "catalogue", **more}


def batch(*keys):
    return "BatchGetItem", {"RequestItems": {"catalogue": {"Keys": [key(*each) for each in keys]}}}


# Every read with the (place, kind) of each difference that is left between the two servers.
READS = {
    "get-plain": (get("p3", "a"), set()),
    "get-nested": (get("p2", "a"), set()),
    "get-exact": (get("p3", "b"), set()),
    "get-nothing": (get("nope", "a"), set()),
    "get-sizes": (get("p1", "b"), set()),
    "get-price": (get("p1", "a"), set()),
    "get-consistent": (
        get("p3", "a", ConsistentRead=True, ReturnConsumedCapacity="TOTAL"),
        {("$.ConsumedCapacity.CapacityUnits", "value")},
    ),
    "get-bad-key": (
        ("GetItem", {"TableName": "catalogue", "Key": {"pk": {"S": "p3"}}}),
        {("$.message", "value")},
    ),
    "get-no-table": (("GetItem", {"TableName": "nothere", "Key": key("p3", "a")}), set()),
    "query-keys": (query(**P3, **KEYS), set()),
    "query-limit": (query(**P1, Limit=1, ProjectionExpression="sk"), set()),
    "query-prices": (query(**P1), set()),
    "scan-count": (scan(Select="COUNT"), set()),
    "scan-keys": (scan(**KEYS), set()),
    "scan-all": (scan(), set()),
    # Each server scans in its own order, and so ends its first page elsewhere.
    "scan-page": (scan(Limit=3, **KEYS), {
        ("$.Items[*].pk.S", "value"),
        ("$.LastEvaluatedKey.pk.S", "value"),
    }),
    "batch": (batch(("p1", "a"), ("p1", "b"), ("p3", "a")), {("$.ConsumedCapacity", "extra")}),
    "batch-no-table": (
        ("BatchGetItem", {"RequestItems": {"nothere": {"Keys": [key("p3", "a")]}}}),
        set(),
    ),
}

# What is suggested for the differences that builtin:aws leaves: those that OWN has rules for.
SUGGESTED = {"$.Items", "header.status", "header.x-amzn-errortype"}

# Browsers may ask moto from other sites. Whether that matters is for its owner to say.
DECISIONS = {"header.access-control-allow-origin"}

# The rules that have something to excuse between the two servers.
MASKING = (
    "aws-request-id",
    "aws-dynamodb-crc32",
    "aws-json-content-type",
    "aws-dynamodb-number",
    "aws-dynamodb-string-set",
    "scans",
    "cors",
    "error-type",
    "error-status",
)


def expected_classes():
    return {(name, place, kind) for name, (_, places) in READS.items() for place, kind in places}


def send(port, operation, document, case=None):
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": f"DynamoDB_20120810.{operation}",
        "x-amz-date": "20260101T000000Z",
        "authorization": AUTHORIZATION,
    }
    if case is not None:
        headers["x-case"] = case
    return call(port, "POST", "/", json.dumps(document), headers)


def seed(port, tags):
    assert send(port, "CreateTable", TABLE).status == 200
    for item in ITEMS:
        if "tags" in item:
            item = {**item, "tags": {"SS": tags}}
        answer = send(port, "PutItem", {"TableName": "catalogue", "Item": item})
        assert answer.status == 200, answer.body


def run(checks, tools, twinread):
    old, new = free_port(), free_port()
    old_command = [*tools.dynalite(), "--port", old, "--createTableMs", 0]
    new_command = [tools.venv / "moto_server", "-H", "127.0.0.1", "-p", new]
    with Process(tools, "dynalite", old_command) as dynalite, Process(tools, "moto", new_command) as moto:
        dynalite.wait_for_port(old)
        moto.wait_for_port(new)
        seed(old, TAGS)
        seed(new, TAGS[::-1])
        rules = tools.scratch / "dynamodb-rules.yaml"
        rules.write_text(OWN)
        every = CONFIGURATION.replace("OLD", str(old)).replace("NEW", str(new))
        configuration = every.replace("RULES", f"builtin:aws, {rules}")
        once = configuration.replace("RECHECK", "after: []")
        with Sidecar(tools, twinread, "dynamodb", once) as sidecar:
            check_reads(checks, sidecar, old)
            check_rules(checks, sidecar)
            check_writes(checks, sidecar, old, new)
        again = configuration.replace("RECHECK", "after: [50ms, 200ms], max_per_second: 1000")
        with Sidecar(tools, twinread, "dynamodb-rechecked", again) as sidecar:
            print("   read again:", flush=True)
            check_reads(checks, sidecar, old)
            unconfirmed = sidecar.total("twinread_checks_total", detail="unconfirmed")
            checks.equal("no mismatch is unconfirmed", unconfirmed, 0)
        check_suggested(checks, tools, twinread, every.replace("RECHECK", "after: []"), old)


def check_suggested(checks, tools, twinread, configuration, old):
    """What is suggested needs no rule by hand, and excuses no genuine difference."""
    print("   with suggested rules:", flush=True)
    with Sidecar(tools, twinread, "dynamodb-plain", configuration.replace(", RULES", "")) as sidecar:
        for _ in range(3):
            send_all(sidecar)
        found = sidecar.stored_suggestions()
        checks.equal("built-in rules are suggested", [each["name"] for each in found["builtin"]], ["builtin:aws"])
        at = {each["rule"]["at"] for each in found["suggestions"]}
        checks.equal("each suggestion is right", at, SUGGESTED)
        at = {each["rule"]["at"] for each in found["decisions"]}
        checks.equal("what callers may see is a decision", at, DECISIONS)
        first = sidecar.suggested_file()
    # The order of items shows once nothing else in them differs.
    rules = f"builtin:aws, {first}"
    with Sidecar(tools, twinread, "dynamodb-second", configuration.replace("RULES", rules)) as sidecar:
        for _ in range(3):
            send_all(sidecar)
        found = [each["rule"]["at"] for each in sidecar.stored_suggestions()["suggestions"]]
        checks.equal("the second suggestion is right", found, ["$.Items"])
        second = sidecar.suggested_file()
    configuration = configuration.replace("RULES", f"{rules}, {second}")
    with Sidecar(tools, twinread, "dynamodb-suggested", configuration) as sidecar:
        check_reads(checks, sidecar, old)


def send_all(sidecar):
    answers = {name: send(sidecar.listen, *read, case=name) for name, (read, _) in READS.items()}
    sampled = sidecar.wait_until_quiet(len(READS))
    return answers, sampled


def check_reads(checks, sidecar, old):
    answers, sampled = send_all(sidecar)
    for name, (read, _) in READS.items():
        direct = send(old, *read)
        checks.equal(f"{name}: the caller gets old's answer", content(answers[name]), content(direct))

    checks.equal("every read was sampled", sampled, len(READS))
    found = sidecar.classes()
    for name in READS:
        of_read = {each for each in found if each[0] == name}
        expected = {each for each in expected_classes() if each[0] == name}
        checks.equal(f"{name}: the differences are the genuine ones", of_read, expected)
    differing = sum(1 for _, places in READS.values() if places)
    checks.equal("mismatches", sidecar.total("twinread_checks_total", outcome="mismatch"), differing)
    matches = sidecar.total("twinread_checks_total", outcome="match")
    checks.equal("matches", matches, len(READS) - differing)
    check_values(checks, sidecar)


def content(answer):
    """Status and body, but for the order of a batch: dynalite answers several keys in no certain order."""
    if b'"Responses"' not in answer.body:
        return answer.status, answer.body
    (items,) = answer.json()["Responses"].values()
    return answer.status, sorted(items, key=str)


def check_values(checks, sidecar):
    text = json.dumps(sidecar.stored("/v1/mismatches?limit=100"))
    checks.that("values are shown", "The provided key element does not match the schema" in text, text)
    checks.that("no signature is told", SIGNATURE not in text, text)


def check_writes(checks, sidecar, old, new):
    sampled = sidecar.total("twinread_sampled_total")
    written = {**key("w", "a"), "name": {"S": "written through twinread"}}
    put = send(sidecar.listen, "PutItem", {"TableName": "catalogue", "Item": written}, case="write")
    update = {
        "TableName": "catalogue",
        "Key": key("p3", "a"),
        "UpdateExpression": "SET touched = :t",
        "ExpressionAttributeValues": {":t": {"BOOL": True}},
    }
    updated = send(sidecar.listen, "UpdateItem", update, case="write")
    delete = {"TableName": "catalogue", "Key": key("p3", "b")}
    deleted = send(sidecar.listen, "DeleteItem", delete, case="write")
    answered = [answer.status for answer in (put, updated, deleted)]
    checks.equal("writes are answered", answered, [200, 200, 200])

    for name, port, has_written in (("old", old, True), ("new", new, False)):
        item = send(port, *get("w", "a")).json()
        checks.equal(f"a put item is on {name}", "Item" in item, has_written)
        item = send(port, *get("p3", "a")).json()
        checks.equal(f"an update is on {name}", "touched" in item["Item"], has_written)
        item = send(port, *get("p3", "b")).json()
        checks.equal(f"a delete is on {name}", "Item" not in item, has_written)
    checks.equal("writes are not sampled", sidecar.total("twinread_sampled_total"), sampled)
    # The table is put back as the reads expect it.
    assert send(old, "PutItem", {"TableName": "catalogue", "Item": ITEMS[3]}).status == 200
    assert send(old, "PutItem", {"TableName": "catalogue", "Item": ITEMS[4]}).status == 200
    assert send(old, "DeleteItem", {"TableName": "catalogue", "Key": key("w", "a")}).status == 200


def check_rules(checks, sidecar):
    for rule in MASKING:
        masked = sidecar.total("twinread_rule_masked_total", rule=rule)
        checks.that(f"what {rule} masks is counted", masked > 0, masked)
