"""What a release is made of, besides the image: the crate, the unit of systemd, manual pages, completions, the Debian package."""

import json
import pathlib
import shutil
import tomllib

from image import check_demo

REPOSITORY = pathlib.Path(__file__).parent.parent.parent
UNIT = REPOSITORY / "deploy/systemd/twinread.service"
CONFIGURATION = UNIT.with_suffix(".yaml")
SHELLS = {"bash": "bash/twinread", "zsh": "zsh/_twinread", "fish": "fish/twinread.fish"}
# Tenths of systemd's measure of exposure.
EXPOSURE = 20
BUILDING = 3600
# docs/releases.md has `dist`, which takes three times as long.
PROFILE = "release"
CARGO_TOOLS = {"cargo-deb": "3.8.0", "cargo-cyclonedx": "0.5.9"}
C_CODE = {"libsqlite3-sys", "zstd-sys", "libmimalloc-sys", "ring"}


def run(checks, tools, twinread, is_all=False):
    packs = ["cargo", "package", "--locked", "--allow-dirty", *([] if is_all else ["--no-verify"])]
    packed = tools.run(packs, cwd=REPOSITORY, timeout=BUILDING)
    what = "the crate is packed without a warning" + (", and builds from what is packed" if is_all else "")
    checks.that(what, packed.returncode == 0 and "warning" not in packed.stderr, packed.stderr)

    checked = tools.run([twinread, "check", "--strict", CONFIGURATION])
    checks.that("the package's configuration is valid", checked.returncode == 0, checked.stderr)
    if shutil.which("systemd-analyze"):
        rated = tools.run(["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}", UNIT])
        checks.that(f"the unit's exposure is under {EXPOSURE / 10}", rated.returncode == 0, rated.stdout + rated.stderr)
        print(f"      {rated.stdout.splitlines()[-1]}")

    folder = make_files(tools, twinread)
    pages = sorted(folder.glob("man/*.1"))
    checks.that("there is a manual page for each command", len(pages) > 15, pages)
    for page in pages:
        rendered = tools.run(["man", "--warnings", "--local-file", page])
        checks.equal(f"{page.name} is rendered without a warning", (rendered.returncode, rendered.stderr), (0, ""))
    if is_all:
        check_installed(checks, tools)
        check_parts(checks, tools)
        check_debian(checks, tools)


def make_files(tools, twinread):
    """Manual pages and completions, where Cargo.toml expects them."""
    folder = REPOSITORY / "target/package-files"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "man").mkdir(parents=True)
    tools.run([twinread, "man", folder / "man"], check=True)
    # The scripts call the program by name if it was called by name.
    (folder / "bin").mkdir()
    (folder / "bin/twinread").symlink_to(twinread)
    by_name = ["env", f"PATH={folder / 'bin'}:{tools.environment['PATH']}", "twinread", "completions"]
    for shell, name in SHELLS.items():
        (folder / name).parent.mkdir()
        script = tools.run([*by_name, shell], check=True).stdout
        (folder / name).write_text(script)
    return folder


def check_installed(checks, tools):
    """What Cargo installs from the tree."""
    root = tools.scratch / "installed"
    installs = ["cargo", "install", "--quiet", "--locked", "--profile", PROFILE, "--root", root, "--path", "."]
    tools.run(installs, cwd=REPOSITORY, timeout=BUILDING, check=True)
    check_demo(checks, tools, [root / "bin/twinread"])


def check_parts(checks, tools):
    """The list of parts has what `Cargo.lock` has, and the crates that bring C code."""
    made = tools.run([cargo_tool(tools, "cargo-cyclonedx"), *"cyclonedx --format json --spec-version 1.5".split()], cwd=REPOSITORY)
    checks.equal("the list of parts is made", (made.returncode, made.stderr), (0, ""))
    file = REPOSITORY / "twinread.cdx.json"
    parts = {(each["name"], each["version"]) for each in json.loads(file.read_text())["components"]}
    file.unlink()
    locked = {(each["name"], each["version"]) for each in tomllib.loads((REPOSITORY / "Cargo.lock").read_text())["package"]}
    checks.equal("each part is of Cargo.lock", parts - locked, set())
    names = {name for name, _ in parts}
    checks.equal("the crates with C code are in it, and none of the tests'", (C_CODE - names, names & {"proptest", "rcgen"}), (set(), set()))


def cargo_tool(tools, name):
    """A command of Cargo from crates.io, built once."""
    root = tools.scratch / "cargo"
    if not (root / f"bin/{name}").exists():
        installs = ["cargo", "install", "--quiet", "--locked", "--root", root, f"{name}@{CARGO_TOOLS[name]}"]
        tools.run(installs, timeout=BUILDING, check=True)
    return root / f"bin/{name}"


def check_debian(checks, tools):
    """Builds the package, installs it into a root of its own, runs it there, and removes it."""
    package = tools.scratch / "twinread.deb"
    makes = [cargo_tool(tools, "cargo-deb"), "deb", "--locked", "--profile", PROFILE, "--output", package]
    built = tools.run(makes, cwd=REPOSITORY, timeout=BUILDING)
    checks.that("the Debian package is built", built.returncode == 0 and "warning" not in built.stderr, built.stderr)
    manifest = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]
    shown = tools.run(["dpkg-deb", "--field", package, "Description"], check=True).stdout.splitlines()
    checks.equal("its description is that of the crate", shown[0], manifest["description"])
    further = " ".join(line.strip() for line in shown[1:])
    checks.equal("... and a few lines", further, manifest["metadata"]["deb"]["extended-description"].strip())
    root = tools.scratch / "debian-root"
    shutil.rmtree(root, ignore_errors=True)
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    # What it depends on is outside of that root, and so is the shell of its scripts.
    dpkg = ["dpkg", f"--root={root}", "--force-depends", "--force-script-chrootless"]
    installed = tools.run([*dpkg, "--install", package])
    checks.equal("it can be installed", installed.returncode, 0)
    checks.equal("it has the unit", (root / "usr/lib/systemd/system/twinread.service").read_text(), UNIT.read_text())
    checks.equal("... neither enabled nor started", list(root.glob("etc/systemd/**/*.service")), [])
    pages = {file.name.removesuffix(".gz") for file in (root / "usr/share/man/man1").iterdir()}
    checks.equal("it has all manual pages", pages, {file.name for file in (REPOSITORY / "target/package-files/man").iterdir()})
    completions = ("bash-completion/completions/twinread", "zsh/vendor-completions/_twinread", "fish/vendor_completions.d/twinread.fish")
    checks.equal("... and completions", [name for name in completions if not (root / "usr/share" / name).read_text()], [])
    checked = tools.run([root / "usr/bin/twinread", "check", "--strict", root / "etc/twinread/twinread.yaml"])
    checks.equal("its configuration is valid", checked.returncode, 0)
    check_demo(checks, tools, [root / "usr/bin/twinread"])
    removed = tools.run([*dpkg, "--purge", "twinread"])
    left = [file for file in root.rglob("*twinread*") if "dpkg" not in file.parts]
    checks.equal("it can be purged, and leaves nothing", (removed.returncode, left), (0, []))
