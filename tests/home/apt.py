"""scripts/apt-repository: apt itself finds the packages, an upgrade, the way back, and refuses what was changed.

    apt.py
"""
import pathlib
import shutil
import subprocess
import tempfile

from peers import step

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*command, fails=False):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    assert (done.returncode != 0) == fails, (command, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def package(folder, version, text="x"):
    """A package of this version, for this machine."""
    tree = folder / f"callbox-{version}"
    (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: callbox\nVersion: {version}\nArchitecture: amd64\nMaintainer: Test <test@example.com>\nDescription: {text}\n")
    run("dpkg-deb", "--build", "--root-owner-group", tree, folder / "any-name.deb")
    return folder / "any-name.deb"


class Apt:
    """apt with folders of its own, as a station has it."""

    def __init__(self, folder, repository):
        for name in ["state/lists/partial", "cache/archives/partial", "etc"]:
            (folder / "apt" / name).mkdir(parents=True)
        (folder / "apt/status").write_text("")
        self.options = ["-o", f"Dir::State={folder}/apt/state", "-o", f"Dir::State::status={folder}/apt/status",
                        "-o", f"Dir::Cache={folder}/apt/cache", "-o", "Dir::Etc::sourceparts=-", "-o", "APT::Sandbox::User=root",
                        "-o", f"Dir::Etc::sourcelist={folder}/apt/etc/sources.list", "-o", "Dir::Etc::parts=-"]
        key = repository / "callbox.gpg"
        (folder / "apt/etc/sources.list").write_text(f"deb [signed-by={key}] file:{repository} stable main\n")

    def get(self, *arguments, fails=False):
        return run("apt-get", *self.options, *arguments, fails=fails)

    def policy(self):
        return run("apt-cache", *self.options, "policy", "callbox")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="callbox-apt-"))
    folder.chmod(0o755)
    try:
        repository = folder / "repository"
        make = lambda *packages, fails=False: run(ROOT / "scripts/apt-repository", repository, *packages, fails=fails)
        step("a new repository is signed by a key of its own")
        make(package(folder, "1.0-1"))
        assert oct((folder / "repository.key").stat().st_mode)[-3:] == "700"
        apt = Apt(folder, repository)
        apt.get("update")
        assert "Candidate: 1.0-1" in apt.policy(), apt.policy()
        step("a further version is found, and the older one stays for the way back")
        make(package(folder, "1.1-1"))
        apt.get("update")
        assert "Candidate: 1.1-1" in apt.policy() and "1.0-1" in apt.policy(), apt.policy()
        assert "callbox (1.0-1" in apt.get("install", "-s", "callbox=1.0-1")
        step("a version that has changed is refused, and so is a repository that was changed by another")
        assert "with another content" in make(package(folder, "1.1-1", "changed"), fails=True)
        index = repository / "dists/stable/main/binary-amd64/Packages"
        index.write_text(index.read_text().replace("1.1-1", "1.2-1"))
        index.with_suffix(".gz").unlink()
        (folder / "fresh").mkdir()
        changed = Apt(folder / "fresh", repository).get("update", "--error-on=any", fails=True)
        assert "hash" in changed.lower() or "size" in changed.lower(), changed
        release = repository / "dists/stable/InRelease"
        release.write_text(release.read_text().replace("Label: callbox", "Label: another"))
        refused = apt.get("update", "--error-on=any", fails=True)
        assert "signature" in refused, refused
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    step("apt: all passed")


main()
