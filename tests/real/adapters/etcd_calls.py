"""Calls etcd by grpcio, with stubs made of etcd.proto: etcd_calls.py PROTO ADDRESS put|read TIMES."""

import pathlib
import sys
import tempfile

import grpc
from grpc_tools import protoc

proto, address, what, times = sys.argv[1:]
folder = tempfile.TemporaryDirectory()
name = pathlib.Path(proto)
arguments = ["protoc", f"-I{name.parent}", f"--python_out={folder.name}", f"--grpc_python_out={folder.name}", name.name]
assert protoc.main(arguments) == 0
sys.path.insert(0, folder.name)
import etcd_pb2 as pb  # noqa: E402
import etcd_pb2_grpc as stubs  # noqa: E402

with grpc.insecure_channel(address) as channel:
    kv = stubs.KVStub(channel)
    for round in range(int(times)):
        if what == "put":
            for key in range(20):
                kv.Put(pb.PutRequest(key=b"key/%02d" % key, value=b"value %d" % (key * round)), timeout=10)
            continue
        every = kv.Range(pb.RangeRequest(key=b"key/", range_end=b"key0"), timeout=10)
        one = kv.Range(pb.RangeRequest(key=b"key/07"), timeout=10)
        none = kv.Range(pb.RangeRequest(key=b"nothing"), timeout=10)
        status = stubs.MaintenanceStub(channel).Status(pb.StatusRequest(), timeout=10)
        members = stubs.ClusterStub(channel).MemberList(pb.MemberListRequest(), timeout=10)
        print(len(every.kvs), one.kvs[0].value, none.count, status.version, len(members.members))
folder.cleanup()
