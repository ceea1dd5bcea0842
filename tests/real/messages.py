"""Messages of protobuf's own library (PyPI), with descriptor sets of protoc and with the .proto files themselves."""

import json
import pathlib

SOURCES = pathlib.Path(__file__).parent / "messages"

SHOP = [
    ["$.sizes[1]", "missing", 2, None],
    ["$.rank", "missing", 0, None],
    ["$.color", "type", "RED", 9],
    ["$.extra.sku", "value", "in", "out"],
    ["$.created.seconds", "value", 1767323045, 1767323046],
    ["$.meta.fields.k.list_value.values[1].string_value", "value", "x", "y"],
    ["$.parts['7'].sku", "value", "p", "q"],
    ["$.big", "value", 2**64 - 1, 2**64 - 2],
    ["$['#111']", "extra", None, "+AYF"],
]
LEGACY = [
    ["$.b", "extra", None, 7],
    ["$.g.x", "value", 3, 4],
    ["$['[legacy.note]']", "value", "n", "o"],
    ["$['[legacy.more]']", "extra", None, {"a": "z", "c": []}],
]


def run(checks, tools, twinread):
    folder = tools.scratch / "messages"
    folder.mkdir(exist_ok=True)
    python = tools.venv / "python"
    protoc = [python, "-m", "grpc_tools.protoc", f"-I{SOURCES}", f"--python_out={folder}"]
    files = [SOURCES / "shop.proto", SOURCES / "legacy.proto"]
    whole, bare = folder / "whole.binpb", folder / "bare.binpb"
    tools.run([*protoc, "--include_imports", f"--descriptor_set_out={whole}", *files])
    tools.run([*protoc, f"--descriptor_set_out={bare}", *files])
    tools.run([python, SOURCES / "encode.py", folder])
    for descriptors in (whole, bare, SOURCES):
        for name, message, planted in (("shop", "shop.v1.Item", SHOP), ("legacy", "legacy.M", LEGACY)):
            found = compared(tools, twinread, folder / f"{name}.old", folder / f"{name}.new", descriptors, message)
            places = lambda differences: sorted(differences, key=lambda one: one[0])
            checks.equal(f"{name} by {descriptors.name}", places(found), places(planted))
        same = compared(tools, twinread, folder / "shop.old", folder / "shop.same", descriptors, "shop.v1.Item")
        checks.equal(f"another encoding by {descriptors.name}", same, [])


def compared(tools, twinread, old, new, descriptors, message):
    arguments = ["--type", "grpc", "--descriptors", descriptors, "--message", message, "--json"]
    ran = tools.run([twinread, "compare", old, new, *arguments])
    differences = json.loads(ran.stdout)["differences"]
    return [[one["place"], one["kind"], one["old"], one["new"]] for one in differences]
