"""The manifests of deploy/kubernetes by their schemas, and each pod as a kubelet would run it; needs root for a network of its own."""

import concurrent.futures
import copy
import ctypes
import fcntl
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import time

from harness import LOCALHOST, Answer, Process, stack, wait_for

REPOSITORY = pathlib.Path(__file__).parent.parent.parent
FOLDER = REPOSITORY / "deploy" / "kubernetes"
PAGE = REPOSITORY / "docs" / "kubernetes.md"
OVERLAYS = ("sidecar", "standalone", "mesh", "mirror")
# The oldest that knows `preStop.sleep` without a switch, and the newest that the validator knows.
VERSIONS = ("1.30.0", "1.37.0")

SCHEMAS = {
    "VirtualService": "@kubernetes-models/istio/networking.istio.io/v1/VirtualService",
    "DestinationRule": "@kubernetes-models/istio/networking.istio.io/v1/DestinationRule",
    "HTTPRoute": "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute",
    "PodMonitor": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor",
}

# What nobody outside may reach: each pod has a network of its own, in which these are the address of the pod and those of two Services.
POD, OLD, NEW = "127.0.0.4", "127.0.0.2", "127.0.0.3"
HOSTS = f"{LOCALHOST} localhost\n{OLD} shop shop-old\n{NEW} shop-new\n"
WRONG = "/prices/wrong"
TOKEN = "the-token-of-this-suite"

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def run(checks, tools, twinread):
    overlays = {name: build(tools, FOLDER / name) for name in OVERLAYS}
    check_schemas(checks, tools)
    check_examples(checks, tools)
    check_edits(checks, tools, overlays)
    containers = [twinread_of(overlays[name]) for name in OVERLAYS]
    for field in ("image", "args", "startupProbe", "livenessProbe", "readinessProbe", "resources", "securityContext", "volumeMounts"):
        checks.that(f"{field} is alike in all patterns", all(each[field] == containers[0][field] for each in containers), containers)
    for name, documents in overlays.items():
        check_deadlines(checks, name, documents)
        in_namespaces(tools, lambda name=name, documents=documents: check_pod(checks, tools, twinread, name, documents))


def build(tools, folder):
    import yaml

    return list(yaml.safe_load_all(tools.run([tools.kubectl(), "kustomize", folder], check=True).stdout))


def of_kind(documents, *kinds):
    return [each for each in documents if each["kind"] in kinds]


def pod_of(documents):
    (workload,) = of_kind(documents, "Deployment", "StatefulSet")
    return workload["spec"]["template"]


def twinread_of(documents):
    pod = pod_of(documents)["spec"]
    (container,) = (each for each in pod.get("initContainers", []) + pod["containers"] if each["name"] == "twinread")
    return container


def check_schemas(checks, tools):
    for name in OVERLAYS:
        file = tools.scratch / f"kubernetes-{name}.yaml"
        file.write_text(tools.run([tools.kubectl(), "kustomize", FOLDER / name], check=True).stdout)
        for version in VERSIONS:
            ran = tools.run([tools.venv / "kubernetes-validate", "--strict", "--quiet", "-k", version, file])
            checks.equal(f"{name} is valid for Kubernetes {version}", (ran.returncode, ran.stdout, ran.stderr), (0, "", ""))


def check_examples(checks, tools):
    """The types know every field, and the schemas more of the values."""
    import yaml

    routes = [FOLDER / overlay / name for overlay in ("mesh", "mirror") for name in ("istio.yaml", "gateway-api.yaml")]
    examples = {
        f"{file.relative_to(FOLDER)} {each['kind']}": each
        for file in (FOLDER / "podmonitor.yaml", *routes)
        for each in yaml.safe_load_all(file.read_text())
    }
    check_routes(checks, examples)
    for name, document in list(examples.items()):
        past = json.loads(json.dumps(document["spec"]).replace('"twinread"', '"shop"'))
        examples[f"{name}, past twinread again"] = {**document, "spec": past}
    faulty = {f"{name} with an unknown field": {**each, "spec": {**each["spec"], "twinreads": 1}} for name, each in examples.items()}
    breaks = {
        "mirror/gateway-api.yaml HTTPRoute": ('"backendRef"', '"backendRefs"'),
        "mirror/istio.yaml VirtualService": ('"mirror": {"host"', '"mirror": {"hosts"'),
        "mirror/istio.yaml DestinationRule": ("16", '"many"'),
    }
    broken = {f"{name} with {by}": changed(examples[name], part, by) for name, (part, by) in breaks.items()}

    folder = tools.scratch / "npm"
    types = "".join(f'import type {{I{kind}}} from "{path}";\n' for kind, path in SCHEMAS.items())
    all_of_them = [*examples.items(), *faulty.items(), *broken.items()]
    typed = [f"export const _{at}: I{each['kind']} = {json.dumps(each)};\n" for at, (_, each) in enumerate(all_of_them)]
    (folder / "examples.ts").write_text(types + "".join(typed))
    tsc = ["node", folder / "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--module", "nodenext", "--skipLibCheck"]
    said = tools.run([*tsc, folder / "examples.ts"]).stdout
    refused = {all_of_them[int(line) - types.count("\n") - 1][0] for line in re.findall(r"examples\.ts\((\d+),", said)}
    checks.equal("of the examples the types refuse those that are faulty", refused, {*faulty, *broken})

    imports = "".join(f'import {{{kind}}} from "{path}";\n' for kind, path in SCHEMAS.items())
    tried = {**examples, **broken}
    made = [f"new {each['kind']}({json.dumps(each)})" for each in tried.values()]
    tries = [f"try {{ {each}.validate() }} catch {{ console.log({at}) }}\n" for at, each in enumerate(made)]
    (folder / "examples.mjs").write_text(imports + "".join(tries))
    ran = tools.run(["node", folder / "examples.mjs"])
    refused = {list(tried)[int(line)] for line in ran.stdout.split()}
    checks.equal("... and so do their schemas", (ran.returncode, ran.stderr, refused), (0, "", set(broken)))


def changed(document, part, by):
    text = json.dumps(document)
    assert part in text, part
    return json.loads(text.replace(part, by))


def check_routes(checks, examples):
    """Who answers callers by them, and who gets copies."""
    for overlay, answers, copied in (("mesh", "twinread", []), ("mirror", "shop", ["twinread"])):
        (istio,) = examples[f"{overlay}/istio.yaml VirtualService"]["spec"]["http"]
        (gateway,) = examples[f"{overlay}/gateway-api.yaml HTTPRoute"]["spec"]["rules"]
        found = [each["destination"]["host"] for each in istio["route"]], [each["host"] for each in [istio.get("mirror")] if each]
        checks.equal(f"{overlay}: who answers by istio.yaml, and who gets copies", found, ([answers], copied))
        mirrors = [each["requestMirror"]["backendRef"]["name"] for each in gateway.get("filters", [])]
        found = [each["name"] for each in gateway["backendRefs"]], mirrors
        checks.equal(f"{overlay}: ... by gateway-api.yaml", found, ([answers], copied))


def check_edits(checks, tools, overlays):
    """One edit puts twinread in the path, and one takes it out again."""
    import yaml

    folder = tools.scratch / "kubernetes-out"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(FOLDER, folder)
    file = folder / "sidecar" / "kustomization.yaml"
    kept = [line for line in file.read_text().splitlines() if not line.startswith("patches:")]
    file.write_text("\n".join(kept))
    (found,) = of_kind(build(tools, folder / "sidecar"), "Deployment")
    checks.equal("sidecar: without one line `web` is as it was", found, yaml.safe_load((FOLDER / "sidecar" / "web.yaml").read_text()))

    documents = overlays["standalone"]
    (old,) = (each for each in of_kind(documents, "Service") if each["metadata"]["name"] == "shop-old")
    shop = copy.deepcopy(old)
    shop["metadata"]["name"] = "shop"
    file = tools.scratch / "shop.json"
    file.write_text(json.dumps(shop))
    ports = twinread_of(documents)["ports"]
    labels = re.findall(r"^kubectl set selector service/shop (.+)", PAGE.read_text(), re.MULTILINE)
    for to, label in zip(("into the path", "out again"), labels, strict=True):
        ran = tools.run([tools.kubectl(), "set", "selector", "--local", "-f", file, label, "-o", "json"], check=True)
        file.write_text(ran.stdout)
        selector = json.loads(ran.stdout)["spec"]["selector"]
        checks.equal(f"standalone: one command leads `shop` {to}", selector, dict([label.split("=")]))
    checks.equal("standalone: afterwards `shop` is as it was", json.loads(file.read_text())["spec"], shop["spec"])
    checks.equal("standalone: the pods of twinread have that label", pod_of(documents)["metadata"]["labels"]["app"], "twinread")
    names = {each["targetPort"] for each in shop["spec"]["ports"]}
    checks.that("standalone: ... and the port of that name", names <= {each["name"] for each in ports}, ports)
    paths = set(re.findall(r"deploy/kubernetes[\w/.-]*", PAGE.read_text() + (REPOSITORY / "README.md").read_text()))
    checks.equal("the pages name files that are there", [path for path in paths if not (REPOSITORY / path).exists()], [])


def check_deadlines(checks, name, documents):
    pod, container = pod_of(documents)["spec"], twinread_of(documents)
    (grace,) = re.findall(r"^drain: \{grace: (\d+)s\}", configuration_of(documents)["twinread.yaml"], re.MULTILINE)
    before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    # A sidecar gets its signal after the service, which has 30 s by default.
    before += 30 if "initContainers" in pod else 0
    left = pod["terminationGracePeriodSeconds"] - before - int(grace)
    checks.that(f"{name}: drain.grace and 10 s fit into terminationGracePeriodSeconds", left >= 10, f"{left} s are left")
    checks.that(f"{name}: no subPath", "subPath" not in json.dumps(documents))
    checks.that(f"{name}: no Secret is shipped", not of_kind(documents, "Secret"))
    store = re.findall(r"path: ([^ ,}]+)/evidence\.db", configuration_of(documents)["twinread.yaml"])
    checks.equal(f"{name}: the store is on the volume", store, [mount_of(container, "twinread-store")])


def configuration_of(documents):
    (configuration,) = of_kind(documents, "ConfigMap")
    return configuration["data"]


def mount_of(container, volume):
    (path,) = (each["mountPath"] for each in container["volumeMounts"] if each["name"] == volume)
    return path


def in_namespaces(tools, work):
    """Runs it on a thread with a network and mounts of its own; what it starts has them, too."""

    def enter():
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS | CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no namespaces of its own (needs root)")
        tools.run(["mount", "--make-rprivate", "/"], check=True)
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        return work()

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(enter).result()


class Pod:
    """The container `twinread` of an overlay: its user, its environment, its read-only root and its volumes."""

    def __init__(self, tools, twinread, name, documents):
        self.tools, self.name, self.container = tools, name, twinread_of(documents)
        self.folder = tools.scratch / f"pod-{name}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.root, self.store, self.volume = (self.folder / each for each in ("root", "store", "config"))
        for each in (self.root, self.store, self.volume):
            each.mkdir(parents=True)
        # An emptyDir is open to all, a claim belongs to the fsGroup.
        fs_group = pod_of(documents)["spec"].get("securityContext", {}).get("fsGroup")
        if fs_group:
            os.chown(self.store, 0, fs_group)
        self.store.chmod(0o2775 if fs_group else 0o777)
        self.versions = 0
        self.mount(configuration_of(documents))
        self.make_root(twinread)
        user = self.container["securityContext"]
        self.environment = {each["name"]: each.get("value", TOKEN) for each in self.container["env"]}
        variables = [f"{variable}={value}" for variable, value in self.environment.items()]
        who = [f"--userspec={user['runAsUser']}:{user['runAsGroup']}", f"--groups={fs_group or user['runAsGroup']}"]
        self.inside = ["/usr/bin/env", "-i", *variables, shutil.which("chroot"), *who, self.root]

    def mount(self, data):
        """A ConfigMap as the kubelet writes it: a change is a new folder, and one rename of a link to it."""
        self.versions += 1
        version = self.volume / f"..{self.versions}"
        version.mkdir()
        for file, text in data.items():
            (version / file).write_text(text)
            link = self.volume / file
            if not link.is_symlink():
                link.symlink_to(f"..data/{file}")
        (self.volume / "..data_tmp").symlink_to(version.name)
        (self.volume / "..data_tmp").rename(self.volume / "..data")

    def make_root(self, twinread):
        mounts = {"/twinread": twinread, "/dev": "/dev", "/proc": "/proc", "/sys": "/sys", "/usr": "/usr"}
        for name in ("lib", "lib64"):  # for a binary that is not static
            path = pathlib.Path("/", name)
            if path.is_symlink():
                (self.root / name).symlink_to(path.readlink())
            elif path.exists():
                mounts[f"/{name}"] = path
        for volume, folder in (("twinread-config", self.volume), ("twinread-store", self.store)):
            mounts[mount_of(self.container, volume)] = folder
        for inside, outside in mounts.items():
            target = self.root / inside[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch() if pathlib.Path(outside).is_file() else target.mkdir()
        (self.root / "etc/hosts").write_text(HOSTS)
        (self.root / "etc/nsswitch.conf").write_text("hosts: files\n")
        self.tools.run(["mount", "--bind", self.root, self.root], check=True)
        for inside, outside in mounts.items():
            self.tools.run(["mount", "--rbind", outside, self.root / inside[1:]], check=True)
        for inside in ("", mount_of(self.container, "twinread-config")[1:]):
            self.tools.run(["mount", "-o", "remount,bind,ro", self.root / inside], check=True)

    def start(self):
        return Process(self.tools, f"kubernetes-{self.name}", [*self.inside, "/twinread", *self.container["args"]])

    def execute(self, *arguments):
        """What `kubectl exec` would."""
        return self.tools.run([*self.inside, "/twinread", *arguments])

    def port(self, name):
        (port,) = (each["containerPort"] for each in self.container["ports"] if each["name"] == name)
        return port

    def probe(self, name):
        probe = self.container[name]["httpGet"]
        return ask(POD, self.port(probe["port"]), probe["path"], timeout=self.container[name].get("timeoutSeconds", 1))

    def settings(self):
        answer = ask(POD, self.port("admin"), "/v1/settings", {"authorization": f"Bearer {TOKEN}"})
        return {name: each["value"] for name, each in answer.json()["settings"].items()}


def ask(address, port, path, headers=None, timeout=10):
    """One request; no answer if nobody listens."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path, headers=headers or {})
        return Answer(connection.getresponse())
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()


def lasting(text):
    """What is printed, without numbers, ids and how its columns are aligned."""
    return re.sub(r"[0-9a-f]*[0-9][0-9a-f]*", "#", " ".join(text.split()))


def status(answer):
    return answer and answer.status


def check_pod(checks, tools, twinread, name, documents):
    pod = Pod(tools, twinread, name, documents)
    ran = pod.execute("check", "--strict", "/etc/twinread/twinread.yaml")
    checks.that(f"{name}: twinread check --strict", ran.returncode == 0 and ran.stdout in PAGE.read_text(), ran.stdout + ran.stderr)

    with pod.start() as process:
        process.wait_for_port(pod.port("admin"))
        checks.equal(f"{name}: startupProbe", status(pod.probe("startupProbe")), 200)
        checks.equal(f"{name}: started and alive without a stack", status(pod.probe("livenessProbe")), 200)
        checks.equal(f"{name}: not ready without a stack", status(pod.probe("readinessProbe")), 503)
        with (
            stack(lambda path: {"path": path, "price": "9.90"}, (OLD, 80)) as (_, old),
            stack(lambda path: {"path": path, "price": "9.9" if path == WRONG else "9.90"}, (NEW, 80)) as (_, new),
        ):
            wait_for("readinessProbe", lambda: status(pod.probe("readinessProbe")) == 200, 30)
            checks.that(f"{name}: ready once the old stack is there", True)
            check_callers(checks, name, pod, documents, old, new)
            check_reload(checks, name, pod, documents)
            if name == "standalone":
                check_verdict(checks, pod)
            epoch = pod.execute("gate").stdout.split()[2]
            began = time.monotonic()
            checks.equal(f"{name}: SIGTERM ends it in order", process.stop(), 0)
            seconds = time.monotonic() - began
            checks.that(f"{name}: with nothing under way at once", seconds < 5, f"{seconds:.1f} s")
            file = (pod.store / "evidence.db").stat()
            checks.equal(f"{name}: the store is on the volume, for twinread alone", (file.st_uid, oct(file.st_mode)), (65532, "0o100600"))
            process.start()
            process.wait_for_port(pod.port("admin"))
            checks.equal(f"{name}: a new container goes on with the evidence", pod.execute("gate").stdout.split()[2], epoch)


def check_callers(checks, name, pod, documents, old, new):
    if name == "sidecar":
        (web,) = pod_of(documents)["spec"]["containers"]
        (url,) = (each["value"] for each in web["env"] if each["name"] == "SHOP_URL")
        address, port = url.removeprefix("http://").split(":")
        sent, hosts = {}, ("shop", "shop-new")
        checks.equal("sidecar: reached by its own pod alone", ask(POD, int(port), "/prices/1"), None)
    else:
        address, port, sent = POD, pod.port("http"), {"host": "shop"}
        hosts = ("shop", "shop") if name == "standalone" else ("shop-old", "shop-new")
    answer = ask(address, int(port), "/prices/1", sent)
    if name == "mirror":
        checks.equal("mirror: a copy has no answer", (status(answer), answer.body), (204, b""))
    else:
        checks.equal(f"{name}: a caller has old's answer", (status(answer), answer.json()["path"]), (200, "/prices/1"))
    wait_for("the replay", lambda: old and new)
    checks.equal(f"{name}: what the stacks see as Host", (old[0][1]["host"], new[0][1]["host"]), hosts)
    checks.equal(f"{name}: the admin API wants the token", status(ask(POD, pod.port("admin"), "/v1/verdict")), 401)
    checks.equal(f"{name}: metrics are open", status(ask(POD, pod.port("admin"), "/metrics")), 200)


def check_reload(checks, name, pod, documents):
    """The ConfigMap is changed, and the kubelet swaps the folder."""
    data = configuration_of(documents)
    checks.equal(f"{name}: the limit of the file", pod.settings()["sample.max_per_second"], 20)
    text = data["twinread.yaml"].replace("max_per_second: 20", "max_per_second: 500")
    text += "verdict: {max_mismatch: 0.01}\nrecheck: {after: [200ms]}\n"
    pod.mount({**data, "twinread.yaml": text})
    wait_for("the reload", lambda: pod.settings()["sample.max_per_second"] == 500)
    checks.equal(f"{name}: a changed ConfigMap is in force", pod.settings()["verdict.max_mismatch"], 0.01)
    pod.mount({**data, "twinread.yaml": "liste: 1\n"})
    wait_for("a refused reload", lambda: any("configuration" in each for each in pod.probe("readinessProbe").json()["impaired"]))
    state = (pod.settings()["sample.max_per_second"], status(pod.probe("readinessProbe")))
    checks.equal(f"{name}: a faulty one changes nothing", state, (500, 200))
    pod.mount({**data, "twinread.yaml": text})
    wait_for("the reload", lambda: not pod.probe("readinessProbe").json()["impaired"])


def check_verdict(checks, pod):
    """The way that docs/kubernetes.md leads, with a limit of 1 % in place of 0.1 %."""
    connection = http.client.HTTPConnection(POD, pod.port("http"), timeout=20)

    def read(path):
        connection.request("GET", path, headers={"host": "shop"})
        connection.getresponse().read()

    for number in range(450):
        read(f"/prices/{number}")
    ran = pod.execute("gate", "--wait", "30s")
    checks.equal("standalone: gate in the pod comes to a verdict", (ran.returncode, ran.stdout[:5]), (0, "safe "))
    checks.that("standalone: the page shows what it prints", lasting(ran.stdout) in lasting(PAGE.read_text()), ran.stdout)
    read(WRONG)
    connection.close()
    listed = wait_for("a stored mismatch", lambda: re.findall(r"^(\w{16})  mismatch", pod.execute("mismatches").stdout, re.MULTILINE))
    head = lasting(pod.execute("mismatches").stdout.splitlines()[0])
    checks.that("standalone: ... and the head of its list", head in lasting(PAGE.read_text()), head)
    checks.that("standalone: a mismatch is stored and shown", "$.price  value" in pod.execute("show", *listed).stdout, listed)
    checks.equal("standalone: nothing is impaired", pod.probe("readinessProbe").json()["impaired"], [])
