"""The image of `Dockerfile`: built with this machine's toolchain in a base of Debian's, and run as a container runtime would; needs root."""

import contextlib
import json
import os
import pathlib
import shutil
import socketserver
import struct
import subprocess
import threading

from harness import LOCALHOST, Process, stack, wait_for
from kubernetes import ask, in_namespaces, status

REPOSITORY = pathlib.Path(__file__).parent.parent.parent
NAME, COMMIT = "twinread:0.1.0", "0123456789ab"
MOST = 25e6
BUILDING = 3600

# Addresses in a network of its own. The old stack is in the hosts file, the new one is found by a search domain.
OLD, NEW, HTTP = "127.0.0.2", "127.0.0.3", 80
LISTEN, ADMIN = 8080, 9900
FILES = {
    "etc/hosts": f"{LOCALHOST} localhost\n{OLD} shop-old\n",
    "etc/resolv.conf": f"nameserver {LOCALHOST}\nsearch empty.example shop.svc.cluster.local\noptions ndots:5\n",
    "etc/twinread.yaml": "old: {url: 'http://shop-old'}\nnew: {url: 'http://shop-new'}\nsample: {rate: 1.0}\n",
}
NAMES = {"shop-new.shop.svc.cluster.local": NEW}


def run(checks, tools, _, is_all=False):
    linted = tools.run([tools.venv / "hadolint", REPOSITORY / "Dockerfile"])
    checks.equal("hadolint has nothing to say", (linted.returncode, linted.stdout + linted.stderr), (0, ""))

    if not is_all:
        print("      it is built and run with --all alone, which takes ten minutes")
        return
    buildah = Buildah(tools)
    make_builder(tools, buildah)
    build(tools, buildah)
    image = json.loads(buildah.run("inspect", "--type", "image", NAME))["Docker"]["config"]
    checks.equal("it runs twinread", (image["Entrypoint"], image.get("Cmd") or []), (["/twinread"], []))
    checks.equal("... as a user without rights", image["User"], "65532:65532")
    checks.equal("... and is checked by livez", image["Healthcheck"]["Test"], ["CMD", "/twinread", "livez"])

    root = mounted(buildah, NAME)
    found = [str(each.relative_to(root)) for each in root.rglob("*")]
    checks.equal("it has one file", found, ["twinread"])
    size = (root / "twinread").stat().st_size
    checks.that(f"it is under {MOST / 1e6:.0f} MB", size < MOST, f"{size / 1e6:.1f} MB")
    print(f"      {size / 1e6:.1f} MB")
    headers = tools.run(["readelf", "--wide", "--program-headers", "--section-headers", root / "twinread"], check=True).stdout
    checks.that("the binary is static and stripped", "INTERP" not in headers and ".symtab" not in headers, headers)
    in_namespaces(tools, lambda: check_container(checks, Container(tools, root, image)))
    check_prebuilt(checks, buildah, root)


class Buildah:
    """The builder of images, with all its files in the scratch folder."""

    def __init__(self, tools):
        self.tools = tools
        home = tools.scratch / "buildah"
        settings = home / ".config/containers"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (settings / "registries.conf").write_text("unqualified-search-registries = []\n")
        self.environment = {**tools.environment, "HOME": str(home), "TMPDIR": str(tools.scratch), "BUILDAH_ISOLATION": "chroot"}
        self.command = ["buildah", "--storage-driver", "vfs", "--root", home / "storage", "--runroot", home / "run"]

    def run(self, *arguments):
        """What it prints on stdout; fails with all that it printed."""
        command = [str(part) for part in (*self.command, *arguments)]
        ran = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=BUILDING, cwd=REPOSITORY)
        if ran.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {ran.returncode}\n{ran.stdout}{ran.stderr}")
        return ran.stdout.strip()


def toolchain():
    """Where Rust is on this machine, and where the official image of Rust has it."""
    for variable, folder in (("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")):
        here = os.environ.get(variable) or pathlib.Path.home() / folder
        yield variable, here, f"/usr/local/{folder.removeprefix('.')}"


def make_builder(tools, buildah):
    """The image `builder`: compilers of Debian for this machine and for musl, and room for the toolchain."""
    root = tools.scratch / "builder"
    if not root.exists():
        packages = "--include=dash,coreutils,gcc,libc6-dev,musl-tools"
        sources = "".join(file.read_text() for file in sorted(pathlib.Path("/etc/apt").glob("sources.list.d/debian.sources")))
        sources = sources or pathlib.Path("/etc/apt/sources.list").read_text()
        made = ["mmdebstrap", "--quiet", "--mode=root", "--variant=extract", packages, "", root, "-"]
        tools.run(made, input=sources, timeout=BUILDING, check=True)
        (root / "usr/bin/cc").symlink_to("gcc")  # Debian's packages make it when they are configured
    container = buildah.run("from", "scratch")
    buildah.run("copy", "--quiet", container, root, "/")
    environment = {variable: inside for variable, _, inside in toolchain()}
    environment["PATH"] = f"{environment['CARGO_HOME']}/bin:/usr/bin:/bin"
    # All crates are on this machine.
    environment["CARGO_NET_OFFLINE"] = "true"
    buildah.run("config", *(f"--env={name}={value}" for name, value in environment.items()), container)
    buildah.run("commit", "--quiet", "--rm", container, "builder")


def build(tools, buildah):
    tools.run(["rustup", "target", "add", f"{os.uname().machine}-unknown-linux-musl"], cwd=REPOSITORY, timeout=BUILDING, check=True)
    tools.run(["cargo", "fetch", "--locked"], cwd=REPOSITORY, timeout=BUILDING, check=True)
    arguments = {"BUILDER": "localhost/builder", "COMMIT": COMMIT}
    mounts = (f"--volume={here}:{inside}" for _, here, inside in toolchain())
    given = (f"--build-arg={name}={value}" for name, value in arguments.items())
    # Only the format of Docker has health checks.
    buildah.run("build", "--format=docker", "--pull-never", "--network=host", *given, *mounts, f"--tag={NAME}", ".")


def mounted(buildah, name):
    return pathlib.Path(buildah.run("mount", buildah.run("from", name)))


def check_prebuilt(checks, buildah, folder):
    """A folder with the binary takes the place of the stage that builds it."""
    buildah.run("build", "--format=docker", "--pull-never", f"--build-context=builder={folder}", "--tag=twinread:prebuilt", ".")
    root = mounted(buildah, "twinread:prebuilt")
    alike = [(root / "twinread").read_bytes() == (folder / "twinread").read_bytes(), [each.name for each in root.iterdir()]]
    checks.equal("it takes a binary that is there already", alike, [True, ["twinread"]])


class Container:
    """The image's own root, read-only, with what a runtime mounts there, and the image's own user."""

    def __init__(self, tools, image, settings):
        self.tools, self.settings = tools, settings
        root = tools.scratch / "container"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(image, root)
        for file, text in FILES.items():
            (root / file).parent.mkdir(exist_ok=True)
            (root / file).write_text(text)
        tools.run(["mount", "--bind", root, root], check=True)
        for name in ("dev", "proc", "sys"):
            (root / name).mkdir()
            tools.run(["mount", "--rbind", f"/{name}", root / name], check=True)
        tools.run(["mount", "-o", "remount,bind,ro", root], check=True)
        user = settings["User"]
        self.inside = ["/usr/bin/env", "-i", shutil.which("chroot"), f"--userspec={user}", "--groups=", root]

    def command(self, *arguments):
        return [*self.inside, *self.settings["Entrypoint"], *arguments]

    def is_healthy(self):
        """Runs the health check as the engine would."""
        return self.tools.run([*self.inside, *self.settings["Healthcheck"]["Test"][1:]]).returncode == 0


@contextlib.contextmanager
def name_server(names):
    """Answers for these names by their addresses, by TCP alone, and that there are no others. Yields the names asked for by TCP."""
    asked = []

    def answer(query, is_whole):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        question, is_ipv4 = query[12 : at + 5], query[at + 1 : at + 3] == b"\0\1"
        name = ".".join(labels)
        address = names.get(name)
        if is_whole:
            asked.append(name)
        found = [bytes(map(int, address.split(".")))] if address and is_ipv4 and is_whole else []
        records = b"".join(struct.pack(">HHHIH", 0xC00C, 1, 1, 5, 4) + each for each in found)
        # Recursion is there; a name is not; an answer is cut off.
        flags = 0x8180 | (0 if address else 3) | (0x200 if address and is_ipv4 and not is_whole else 0)
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0) + question + records

    class Datagram(socketserver.BaseRequestHandler):
        def handle(self):
            query, answering = self.request
            answering.sendto(answer(query, False), self.client_address)

    class Stream(socketserver.StreamRequestHandler):
        def handle(self):
            (length,) = struct.unpack(">H", self.rfile.read(2))
            said = answer(self.rfile.read(length), True)
            self.wfile.write(struct.pack(">H", len(said)) + said)

    with (
        socketserver.ThreadingUDPServer((LOCALHOST, 53), Datagram) as datagrams,
        socketserver.ThreadingTCPServer((LOCALHOST, 53), Stream) as streams,
    ):
        servers = (datagrams, streams)
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield asked
        finally:
            for server in servers:
                server.shutdown()


def check_container(checks, container):
    ran = container.tools.run(container.command("--version"))
    checks.equal("it says version and commit", ran.stdout, f"{NAME.replace(':', ' ')} ({COMMIT})\n")
    checks.that("it is unhealthy while nothing runs", not container.is_healthy())

    def answer(path):
        return {"path": path}

    with (
        name_server(NAMES) as asked,
        stack(answer, (OLD, HTTP), is_prompt=True) as (_, old),
        stack(answer, (NEW, HTTP), is_prompt=True) as (_, new),
        Process(container.tools, "container", container.command("run", "--config", "/etc/twinread.yaml")) as process,
    ):
        process.wait_for_port(LISTEN)
        process.wait_for_port(ADMIN)
        checks.that("it is healthy while it runs", container.is_healthy())
        checks.equal("the old stack is found by the hosts file", status(ask(LOCALHOST, LISTEN, "/prices/1")), 200)
        checks.equal("... and answers", [path for path, _ in old], ["/prices/1"])
        wait_for("the replay", lambda: new)
        checks.equal("the new stack is found by a search domain", [path for path, _ in new], ["/prices/1"])
        checks.equal("... by TCP, because the datagram is cut off", set(asked), set(NAMES))

        wait_for("a match", lambda: b'outcome="match"' in ask(LOCALHOST, ADMIN, "/metrics").body)
        checks.equal("both answers match, and nothing is impaired", ask(LOCALHOST, ADMIN, "/readyz").json()["impaired"], [])
        checks.equal("SIGTERM ends it in order", process.stop(), 0)

    check_demo(checks, container.tools, container.command())


def check_demo(checks, tools, command):
    """The program by itself, from traffic to a verdict."""
    shown = json.loads(tools.run([*command, "demo", "--seconds", "3", "--json"], check=True).stdout)
    classes = [{(each["route"], each["place"], each["kind"]) for each in shown[which]} for which in ("classes", "planted")]
    checks.equal("its demo finds exactly what is planted", classes[0], classes[1])
