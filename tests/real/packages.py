"""What a release is made of, besides the image: the crate, the unit of systemd, manual pages, completions, the Debian package."""

import pathlib
import shutil

REPOSITORY = pathlib.Path(__file__).parent.parent.parent
UNIT = REPOSITORY / "deploy/systemd/twinread.service"
CONFIGURATION = UNIT.with_suffix(".yaml")
SHELLS = {"bash": "bash/twinread", "zsh": "zsh/_twinread", "fish": "fish/twinread.fish"}
# Tenths of systemd's measure of exposure.
EXPOSURE = 20
BUILDING = 3600


def run(checks, tools, twinread, is_all=False):
    listed = tools.run(["cargo", "package", "--locked", "--allow-dirty", "--no-verify"], cwd=REPOSITORY, timeout=BUILDING)
    checks.that("the crate is packed without a warning", listed.returncode == 0 and "warning" not in listed.stderr, listed.stderr)

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


def check_debian(checks, tools):
    """Builds the package, and unpacks it as dpkg would."""
    tools.run(["cargo", "install", "--quiet", "--locked", "--root", tools.scratch / "cargo", "cargo-deb"], timeout=BUILDING, check=True)
    package = tools.scratch / "twinread.deb"
    makes = [tools.scratch / "cargo/bin/cargo-deb", "deb", "--locked", "--profile", "release", "--output", package]
    built = tools.run(makes, cwd=REPOSITORY, timeout=BUILDING)
    checks.that("the Debian package is built", built.returncode == 0, built.stderr)
    shown = tools.run(["dpkg-deb", "--contents", package], check=True).stdout
    names = {line.split()[-1].removeprefix(".") for line in shown.splitlines()}
    for name in ("/usr/bin/twinread", "/usr/lib/systemd/system/twinread.service", "/etc/twinread/twinread.yaml"):
        checks.that(f"it has {name}", name in names or name.replace("/usr/lib", "/lib") in names, shown)
    root = tools.scratch / "unpacked"
    tools.run(["dpkg-deb", "--extract", package, root], check=True)
    said = tools.run([root / "usr/bin/twinread", "--version"]).stdout
    checks.that("its program runs", said.startswith("twinread "), said)
