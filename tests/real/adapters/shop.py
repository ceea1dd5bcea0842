"""A grpcio service of shop.proto: shop.py PROTO PORT old|new serves, shop.py PROTO PORT call DEFECT... calls.

With the files of a key and a certificate before the defects it speaks TLS."""

import concurrent.futures
import pathlib
import sys
import tempfile

import grpc
from grpc_reflection.v1alpha import reflection
from grpc_tools import protoc

proto, port, what, *more = sys.argv[1:]
files = [pathlib.Path(each).read_bytes() for each in more if each.startswith("/")]
defects = [each for each in more if not each.startswith("/")]
folder = tempfile.TemporaryDirectory()
text = pathlib.Path(proto).read_text()
if what == "new":
    # A member that the other side does not know.
    text = text.replace("bytes blob = 11;", "bytes blob = 11; string later = 12;")
(pathlib.Path(folder.name) / "shop.proto").write_text(text)
include = pathlib.Path(protoc.__file__).parent / "_proto"
options = [f"-I{folder.name}", f"-I{include}", f"--python_out={folder.name}", f"--grpc_python_out={folder.name}"]
assert protoc.main(["protoc", *options, "shop.proto"]) == 0
sys.path.insert(0, folder.name)
import shop_pb2 as pb  # noqa: E402
import shop_pb2_grpc as stubs  # noqa: E402


def item(index=0):
    made = pb.Item(name=f"item {index}", stock=1 << 60, price=1.5, colour=pb.RED, tags=["a", "b", "c"], rating=0, blob=b"\0\xff")
    made.extra.Pack(pb.Part(name="inside", count=2))
    made.sizes.update({"s": 1, "m": 2, "l": 3})
    made.part.name = "the part"
    made.parts.extend(pb.Part(name=f"part {part}", count=part) for part in range(3))
    return made


def spoil(made, defect):
    match defect:
        case "missing":
            made.ClearField("part")
        case "extra":
            made.parts.add(name="one more")
        case "value":
            made.name = "another name"
        case "enum":
            made.colour = pb.GREEN
        case "enum-unknown":
            made.colour = 7
        case "order":
            made.tags[:] = ["c", "a", "b"]
        case "unknown":
            made.later = "since this build"
        case "presence":
            made.ClearField("rating")
        case "any":
            made.extra.Pack(pb.Part(name="inside", count=3))
        case "map":
            made.sizes["m"] = 5
        case "nan-new":
            made.price = float("nan")
        case "number":
            made.stock += 1
        case "bytes":
            made.blob = b"\0\xfe"


def fail(context, code, details):
    from google.rpc import error_details_pb2, status_pb2
    from grpc_status import rpc_status

    status = status_pb2.Status(code=code, message="no such item")
    detail = status.details.add()
    detail.Pack(error_details_pb2.ErrorInfo(reason=details, domain="shop"))
    context.abort_with_status(rpc_status.to_status(status))


class Shop(stubs.ShopServicer):
    def Get(self, request, context):
        made = item()
        if request.defect == "nan":
            made.price = float("nan")
        if request.defect == "same-status" or (request.defect == "status" and what == "new"):
            fail(context, 5, "GONE")
        if request.defect == "details":
            fail(context, 5, f"GONE_{what.upper()}")
        if what == "new":
            spoil(made, request.defect)
        return made

    def List(self, request, context):
        count = 3 if (what, request.defect) == ("new", "fewer") else 4
        for index in range(count):
            yield item(index)


if what == "call":
    address = f"127.0.0.1:{port}"
    secure = files and grpc.secure_channel(address, grpc.ssl_channel_credentials(files[1]))
    with secure or grpc.insecure_channel(address) as channel:
        shop = stubs.ShopStub(channel)
        for defect in defects:
            try:
                if defect == "fewer":
                    print(defect, len(list(shop.List(pb.GetRequest(defect=defect), timeout=10))))
                else:
                    print(defect, shop.Get(pb.GetRequest(defect=defect), timeout=10).name)
            except grpc.RpcError as error:
                print(defect, error.code())
else:
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    stubs.add_ShopServicer_to_server(Shop(), server)
    services = [pb.DESCRIPTOR.services_by_name["Shop"].full_name, reflection.SERVICE_NAME]
    reflection.enable_server_reflection(services, server)
    if files:
        server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([tuple(files)]))
    else:
        server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()
