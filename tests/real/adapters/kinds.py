"""Calls of every kind by grpcio: kinds.py PROTO serve PORT [CERT KEY], kinds.py PROTO call PORT [CA]; calls print one line each."""

import concurrent.futures
import hashlib
import json
import pathlib
import sys
import tempfile
import threading
import time

import grpc
from grpc_tools import protoc

proto, what, port, *tls = sys.argv[1:]
folder = tempfile.TemporaryDirectory()
name = pathlib.Path(proto)
assert protoc.main(["protoc", f"-I{name.parent}", f"--python_out={folder.name}", f"--grpc_python_out={folder.name}", name.name]) == 0
sys.path.insert(0, folder.name)
import kinds_pb2 as pb  # noqa: E402
import kinds_pb2_grpc as stubs  # noqa: E402

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
REASON = "not so: 100 % \u00fcber\nall"
TRAILERS = (("x-reason", "a"), ("x-reason", "b"), ("x-blob-bin", bytes(range(256))))
OF_TRANSPORT = ("user-agent", "date", "traceparent", "tracestate", "x-twinread", "x-twinread-hop", "content-length", "grpc-accept-encoding", "accept-encoding")


def shown(metadata):
    """Sorted, without what belongs to a client library."""
    kept = [(name, value.hex() if isinstance(value, bytes) else value) for name, value in metadata or ()]
    return sorted(list(each) for each in kept if each[0] not in OF_TRANSPORT)


def bytes_of(size):
    return (b"twinread call " * (size // 14 + 1))[:size]


# The server.


class Kinds(stubs.KindsServicer):
    def __init__(self):
        self.given_up, self.lock = 0, threading.Lock()

    def begin(self, ask, context):
        context.send_initial_metadata((("x-initial", "1"), ("x-initial-bin", b"\0\xff")))
        context.set_trailing_metadata(TRAILERS)
        if ask.what == "gzip":
            context.set_compression(grpc.Compression.Gzip)

    def wait(self, context):
        ended = threading.Event()
        if context.add_callback(ended.set):
            ended.wait(20)
        # The copy of a read is given up as well.
        if "x-twinread" not in dict(context.invocation_metadata()):
            with self.lock:
                self.given_up += 1

    def fail(self, ask, context):
        context.set_trailing_metadata(TRAILERS)
        context.abort(list(grpc.StatusCode)[ask.count], REASON)

    def Unary(self, ask, context):
        if ask.what == "fail":  # without initial metadata: trailers alone
            self.fail(ask, context)
        if ask.what == "wait":
            self.wait(context)
        self.begin(ask, context)
        if ask.what == "seen":
            return pb.Said(text=json.dumps(shown(context.invocation_metadata())))
        if ask.what in ("sized", "gzip"):
            return pb.Said(payload=bytes_of(ask.count))
        return pb.Said(text=ask.what, count=ask.count, payload=ask.payload)

    def Down(self, ask, context):
        self.begin(ask, context)
        for index in range(ask.count):
            yield pb.Said(text=ask.what, count=index, payload=ask.payload)
        if ask.what == "fail":
            ask.count = 10
            self.fail(ask, context)
        if ask.what == "wait":
            self.wait(context)

    def Up(self, asks, context):
        hashed, count = hashlib.sha256(), 0
        for ask in asks:
            hashed.update(ask.payload)
            count += 1
            if ask.what == "fail":
                ask.count = 9
                self.fail(ask, context)
            if ask.what == "early":
                break
        self.begin(pb.Ask(), context)
        return pb.Said(text=hashed.hexdigest(), count=count)

    def Both(self, asks, context):
        for index, ask in enumerate(asks):
            if not index:
                self.begin(ask, context)
            yield pb.Said(text=ask.what, count=index, payload=ask.payload)
            if ask.what == "fail":
                ask.count = 8
                self.fail(ask, context)
            if ask.what == "early":
                return

    def GivenUp(self, ask, context):
        with self.lock:
            return pb.Said(count=self.given_up)


def serve():
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(32), options=UNLIMITED)
    stubs.add_KindsServicer_to_server(Kinds(), server)
    if tls:
        cert, key = (pathlib.Path(file).read_bytes() for file in tls)
        server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([(key, cert)]))
    else:
        server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


# The client.


def said(message):
    return [message.text, message.count, len(message.payload), hashlib.sha256(message.payload).hexdigest()[:16]]


def report(name, call, messages):
    """One line: what came, and how it ended."""
    came = []
    try:
        for message in messages(call):
            came.append(said(message))
    except grpc.RpcError:
        pass
    if len(came) > 5:
        came = [len(came), hashlib.sha256(json.dumps(came).encode()).hexdigest()]
    line = [name, call.code().name, call.details(), came, shown(call.initial_metadata()), shown(call.trailing_metadata())]
    # The client or the server may be the first to notice a deadline.
    print(json.dumps(line[:2] if name.startswith("a deadline") else line), flush=True)


def ask(kinds, name, method, asked, messages=iter, **options):
    report(name, getattr(kinds, method)(asked, **{"timeout": 30, **options}), messages)


def unary(kinds, name, asked, method="Unary", **options):
    """By `future`, which shows metadata of calls that fail as well."""
    call = getattr(kinds, method).future(asked, **{"timeout": 30, **options})
    report(name, call, lambda call: [call.result()])


def given_up(kinds, name, give_up):
    """How many calls the server saw given up by this."""
    before = kinds.GivenUp(pb.Ask(), timeout=10).count
    give_up()
    deadline = time.monotonic() + 10
    while (after := kinds.GivenUp(pb.Ask(), timeout=10).count) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    print(json.dumps([name, "the server saw given up", after - before]), flush=True)


def cancel_after_first(kinds):
    call = kinds.Down(pb.Ask(what="wait", count=1), timeout=30)
    next(call)
    call.cancel()


def lockstep(kinds, count):
    """Each message waits for the answer to the one before."""
    answered, asked = threading.Semaphore(1), []

    def asks():
        for index in range(count):
            answered.acquire()
            yield pb.Ask(what="step", payload=bytes_of(index * 100))

    def messages(call):
        for message in call:
            asked.append(message)
            answered.release()
            yield message

    ask(kinds, "both in lockstep", "Both", asks(), messages)


def never_ending(first):
    """Sends one message, and leaves its side open."""
    yield first
    threading.Event().wait(20)


def call():
    if tls:
        credentials = grpc.ssl_channel_credentials(pathlib.Path(tls[0]).read_bytes())
        channel = grpc.secure_channel(f"127.0.0.1:{port}", credentials, UNLIMITED)
    else:
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", UNLIMITED)
    with channel:
        kinds = stubs.KindsStub(channel)
        unary(kinds, "unary", pb.Ask(what="echo", count=7, payload=b"\0\xff"))
        unary(kinds, "nothing", pb.Ask())
        sent = (("x-text", "a"), ("x-text", "b, c"), ("x-blob-bin", bytes(range(256))), ("x-empty", ""), ("cookie", "a=1; b=2"))
        unary(kinds, "metadata", pb.Ask(what="seen"), metadata=sent)
        unary(kinds, "6 kB of metadata", pb.Ask(what="seen"), metadata=(("x-long", "v" * 5000), ("x-long-bin", b"\x80" * 700)))
        for code in range(1, 17):
            unary(kinds, f"status {code}", pb.Ask(what="fail", count=code))
        for size in (1, 16_378, 65_536, 1 << 20, 5 << 20):
            unary(kinds, f"an answer of {size} bytes", pb.Ask(what="sized", count=size))
            unary(kinds, f"a request of {size} bytes", pb.Ask(payload=bytes_of(size)))
            unary(kinds, f"gzip both ways, {size} bytes", pb.Ask(what="gzip", count=size, payload=bytes_of(size)), compression=grpc.Compression.Gzip)
        unary(kinds, "deflate", pb.Ask(payload=bytes_of(5000)), compression=grpc.Compression.Deflate)
        for count in (0, 1, 3, 1000):
            asked = pb.Ask(what="down", count=count, payload=bytes_of(2000))
            ask(kinds, f"down {count}", "Down", asked)
            ask(kinds, f"both {count}", "Both", iter([asked] * count))
            unary(kinds, f"up {count}", iter([asked] * count), "Up")
        ask(kinds, "down gzip", "Down", pb.Ask(what="gzip", count=3, payload=bytes_of(9000)), compression=grpc.Compression.Gzip)
        ask(kinds, "down, then a failure", "Down", pb.Ask(what="fail", count=3))
        unary(kinds, "up, then a failure", never_ending(pb.Ask(what="fail")), "Up")
        unary(kinds, "up, answered early", never_ending(pb.Ask(what="early", payload=b"a")), "Up")
        ask(kinds, "both, then a failure", "Both", never_ending(pb.Ask(what="fail")))
        ask(kinds, "both, ended early", "Both", never_ending(pb.Ask(what="early")))
        lockstep(kinds, 50)
        unknown = channel.unary_unary("/kinds.v1.Kinds/Unknown", pb.Ask.SerializeToString, pb.Said.FromString)
        report("an unknown method", unknown.future(pb.Ask(), timeout=30), lambda call: [call.result()])
        given_up(kinds, "a deadline", lambda: unary(kinds, "a deadline", pb.Ask(what="wait"), timeout=0.3))
        given_up(kinds, "a deadline of a stream", lambda: ask(kinds, "a deadline of a stream", "Down", pb.Ask(what="wait", count=2), timeout=0.5))
        given_up(kinds, "cancelled", lambda: cancel_after_first(kinds))


{"serve": serve, "call": call}[what]()
folder.cleanup()
