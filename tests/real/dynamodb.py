"""Two real stacks that speak DynamoDB: dynalite (npm) is old, moto (PyPI) is new.

Reads are POSTs, told by a header. Both hold the same table; what the two servers answer differently was
found by asking both directly, and is listed below read by read. Everything else must match: the two write
their members in another order, with other white space, and with their own ids, sums and server names.
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
rules: [builtin:http, RULES]
redact: {values: shown}
"""

# What both servers stamp on every answer in their own way.
STAMPS = """
rules:
  - {id: request-id, why: each answer has its own, at: header.x-amzn-requestid, do: ignore}
  - {id: crc32, why: a sum over bytes whose order means nothing, at: header.x-amz-crc32, do: ignore}
  - {id: server, why: only one of them names itself, at: header.server, do: ignore}
  - {id: cors, why: only one of them allows browsers, at: header.access-control-allow-origin, do: ignore}
"""

# Sets and scans have no order in DynamoDB.
UNORDERED = """
  - {id: string-sets, why: a set has no order, at: $..SS, do: unordered}
  - {id: scans, why: a scan has no order, when: {routes: ['scan-*']}, at: $.Items, do: unordered}
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


# moto marks errors by headers of its own, and as another kind of JSON.
ERROR_HEADERS = {
    ("header.content-type", "value"),
    ("header.status", "extra"),
    ("header.x-amzn-errortype", "extra"),
}

# Every read with the (place, kind) of each difference that there is between the two servers.
READS = {
    "get-plain": (get("p3", "a"), set()),
    "get-nested": (get("p2", "a"), set()),
    "get-exact": (get("p3", "b"), set()),
    "get-nothing": (get("nope", "a"), set()),
    "get-sizes": (get("p1", "b"), {("$.Item.price.N", "value")}),
    "get-price": (get("p1", "a"), {("$.Item.price.N", "value"), ("$.Item.tags.SS", "order")}),
    "get-consistent": (
        get("p3", "a", ConsistentRead=True, ReturnConsumedCapacity="TOTAL"),
        {("$.ConsumedCapacity.CapacityUnits", "value")},
    ),
    "get-bad-key": (
        ("GetItem", {"TableName": "catalogue", "Key": {"pk": {"S": "p3"}}}),
        {*ERROR_HEADERS, ("$.__type", "value"), ("$.message", "value")},
    ),
    "get-no-table": (("GetItem", {"TableName": "nothere", "Key": key("p3", "a")}), ERROR_HEADERS),
    "query-keys": (query(**P3, **KEYS), set()),
    "query-limit": (query(**P1, Limit=1, ProjectionExpression="sk"), set()),
    "query-prices": (query(**P1), {("$.Items[*].price.N", "value"), ("$.Items[*].tags.SS", "order")}),
    "scan-count": (scan(Select="COUNT"), set()),
    "scan-keys": (scan(**KEYS), {("$.Items", "order")}),
    # One key: dynalite answers several in no certain order.
    "batch": (batch(("p1", "a")), {
        ("$.ConsumedCapacity", "extra"),
        ("$.Responses.catalogue[*].price.N", "value"),
        ("$.Responses.catalogue[*].tags.SS", "order"),
    }),
    "batch-no-table": (
        ("BatchGetItem", {"RequestItems": {"nothere": {"Keys": [key("p3", "a")]}}}),
        ERROR_HEADERS,
    ),
}

ORDERS = {
    (name, place, kind) for name, (_, places) in READS.items() for place, kind in places if kind == "order"
}


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
        for rules, is_told_of_sets in ((STAMPS, False), (STAMPS + UNORDERED, True)):
            file = tools.scratch / "dynamodb-rules.yaml"
            file.write_text(rules)
            configuration = CONFIGURATION.replace("RULES", str(file))
            configuration = configuration.replace("OLD", str(old)).replace("NEW", str(new))
            with Sidecar(tools, twinread, "dynamodb", configuration) as sidecar:
                if is_told_of_sets:
                    check_rules(checks, sidecar)
                else:
                    check_reads(checks, sidecar, old)
                    check_writes(checks, sidecar, old, new)


def send_all(sidecar):
    answers = {name: send(sidecar.listen, *read, case=name) for name, (read, _) in READS.items()}
    sampled = sidecar.wait_until_quiet(len(READS))
    return answers, sampled


def check_reads(checks, sidecar, old):
    answers, sampled = send_all(sidecar)
    for name, (read, _) in READS.items():
        direct = send(old, *read)
        found = (answers[name].status, answers[name].body)
        checks.equal(f"{name}: the caller gets old's answer", found, (direct.status, direct.body))

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


def check_values(checks, sidecar):
    text = call(sidecar.admin, "GET", "/v1/mismatches?limit=100").body.decode()
    for value in ("9.9", "9.90"):
        checks.that(f"the price {value} is shown", f'"{value}"' in text or f'\\"{value}\\"' in text, text)
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
    send_all(sidecar)
    expected = expected_classes() - ORDERS
    checks.equal("under rules for sets, order is no difference", sidecar.classes(), expected)
    for rule in ("string-sets", "scans"):
        masked = sidecar.total("twinread_rule_masked_total", rule=rule)
        checks.that(f"what {rule} masks is counted", masked > 0, masked)
