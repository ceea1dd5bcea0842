"""Writes messages as protobuf's own library encodes them, two and two with planted defects between them."""

import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder))

import legacy_pb2 as legacy  # noqa: E402
import shop_pb2 as shop  # noqa: E402


def write(name, content):
    (folder / name).write_bytes(content)


old = shop.Item(
    sku="a", sizes=[1, 2, 300], stock={"x": 1, "y": -2}, rank=0, cents=0, color=1, child=shop.Item(sku="c"),
    blob=b"\0\xff", weight=float("nan"), big=2**64 - 1, delta=-5, ratio=0.1,
)
old.extra.Pack(shop.GetRequest(sku="in"))
old.created.FromJsonString("2026-01-02T03:04:05.6Z")
old.wrapped.value = 0
old.meta.update({"k": [1, "x", None]})
old.parts[7].sku = "p"
write("shop.old", old.SerializeToString())
# The last of two values counts, and submessages are merged.
write("shop.same", shop.Item(sku="z", child=shop.Item(color=0)).SerializeToString() + old.SerializeToString())

new = shop.Item()
new.CopyFrom(old)
new.extra.Pack(shop.GetRequest(sku="out"))
new.parts[7].sku = "q"
new.color = 9
new.ClearField("rank")
new.meta.update({"k": [1, "y", None]})
new.created.seconds += 1
new.big -= 1
del new.sizes[1]
# Field 111, which no descriptor has.
write("shop.new", new.SerializeToString() + b"\xf8\x06\x05")

message = legacy.M(a="x", c=[1, 2], e=6)
message.g.x = 3
message.Extensions[legacy.note] = "n"
write("legacy.old", message.SerializeToString())
message.b = 7
message.g.x = 4
message.Extensions[legacy.note] = "o"
message.Extensions[legacy.more].a = "z"
write("legacy.new", message.SerializeToString())
