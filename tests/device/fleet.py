"""One station of many: it is made from a file on the boot partition, and goes back by itself from packages that break.

    python3 fleet.py CALLBOX_DEB CALLBOX

CALLBOX (the same program) is the server and the phone.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from device import Device
from station import LOOPBACK, call_state, head, start_phone, start_server, status, step, talking, until, write_share

CACHE = os.environ.get("DEVICE_CACHE", os.path.expanduser("~/.cache/callbox-device"))
SOCKET = "/run/callbox/control.sock"
PROVISION = "/boot/firmware/callbox-provision.toml"
REFUSED = "/etc/apt/preferences.d/callbox-refused"
CONFIGURATION = head("101", LOOPBACK).replace("/share/password", "secrets/password") + """
[gpio]
backend = "simulated"

[[button]]
name = "bell"
pin = 17
press = { call = "100" }
"""


class Packages:
    """Further versions of a package, some of which break."""

    def __init__(self, package, share):
        self.package, self.share, self.built = package, share, 0

    def version(self, change=lambda tree: None):
        """Writes the next version to the share, changed in its unpacked tree. Returns the version."""
        self.built += 1
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder) / "tree"
            subprocess.run(["dpkg-deb", "--raw-extract", self.package, tree], check=True)
            control = tree / "DEBIAN/control"
            lines = control.read_text().splitlines()
            version = next(line for line in lines if line.startswith("Version: ")).removeprefix("Version: ") + f"+{self.built}"
            control.write_text("\n".join(f"Version: {version}" if line.startswith("Version: ") else line for line in lines) + "\n")
            change(tree)
            subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, self.share / f"{version}.deb"],
                           check=True, stdout=subprocess.DEVNULL)
        return version

    def publish(self, version):
        """Puts a version into the repository of the share."""
        repository = self.share / "repository"
        repository.mkdir(exist_ok=True)
        shutil.move(self.share / f"{version}.deb", repository)
        package = repository / f"{version}.deb"
        fields = subprocess.run(["dpkg-deb", "--field", package], capture_output=True, text=True, check=True).stdout.strip()
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        with (repository / "Packages").open("a") as index:
            index.write(f"{fields}\nFilename: ./{package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n\n")


def write_program(tree, text):
    (tree / "usr/bin/callbox").write_text(text)


def without_server(tree):
    """Everything works, but the program does not find its server."""
    shutil.move(tree / "usr/bin/callbox", tree / "usr/lib/callbox/real")
    write_program(tree, '#!/bin/sh\nif [ "$1" = run ]; then sed s/:8642/:8643/ /etc/callbox/callbox.toml >/run/callbox/other.toml; exec /usr/lib/callbox/real run --config /run/callbox/other.toml; fi\nexec /usr/lib/callbox/real "$@"\n')
    (tree / "usr/bin/callbox").chmod(0o755)


def without_anything(tree):
    """Neither a program that runs nor units, and it can be neither configured nor replaced in the ordinary way."""
    write_program(tree, "no program\n")
    shutil.rmtree(tree / "usr/lib")
    for script in ("postinst", "prerm"):
        (tree / "DEBIAN" / script).write_text("#!/bin/sh\nexit 1\n")


def dying_later(tree):
    """It gets healthy each time, and ends soon."""
    shutil.move(tree / "usr/bin/callbox", tree / "usr/lib/callbox/real")
    write_program(tree, '#!/bin/sh\nif [ "$1" = run ]; then (sleep 3; kill -9 $$) & fi\nexec /usr/lib/callbox/real "$@"\n')
    (tree / "usr/bin/callbox").chmod(0o755)


class Station:
    def __init__(self, device):
        self.device, self.sh = device, device.sh

    def status(self):
        return status(self.device, SOCKET)

    def registered(self):
        return (s := self.status()) and s["session"]["state"] == "registered"

    def version(self):
        return self.sh("dpkg-query --show --showformat '${db:Status-Abbrev}${Version}' callbox").strip()

    def pid(self):
        return self.sh("systemctl show --value -p MainPID callbox").split()[-1]

    def told(self):
        return self.sh("SYSTEMD_COLORS=0 journalctl -q -o cat -t callbox-after-upgrade --no-pager", check=False).splitlines()

    def watching(self):
        return "inactive" not in self.sh("systemctl is-active callbox-after-upgrade", check=False)

    def judged(self):
        """Waits until the upgrade has been judged. Returns what was told since then."""
        before = len(self.told())
        until("the verdict", 120, lambda: not self.watching())
        assert self.sh("ls /var/lib/callbox-upgrade 2>&1", check=False).strip() == "ls: cannot access '/var/lib/callbox-upgrade': No such file or directory"
        return self.told()[before:]


def provision(device, station):
    """A file on the boot partition makes the station."""
    share, sh = device.share, device.sh
    sh("mkdir -p /boot/firmware")
    text = f'host_name = "front-12"\nconfiguration = """{CONFIGURATION}"""\n[files]\n"secrets/password" = "callbox\\n"\n'
    (share / "bad.toml").write_text(text.replace("pin = 17", "pin = 17\nprss = 1"))
    (share / "good.toml").write_text(text)
    shipped = sh("cat /etc/callbox/callbox.toml")
    sh(f"cp /share/bad.toml {PROVISION} && systemctl enable --quiet callbox-provision")
    sh("systemctl start callbox-provision", check=False)
    assert sh("systemctl is-active callbox callbox-provision", check=False).split() == ["inactive", "failed"]
    assert "prss" in sh("journalctl -q -o cat -u callbox-provision --no-pager")
    assert sh("cat /etc/callbox/callbox.toml") == shipped and "password" not in sh("ls /etc/callbox/secrets")
    step("a file with an error changes nothing, and the journal names the error")
    sh(f"cp /share/good.toml {PROVISION} && systemctl reset-failed callbox-provision && systemctl start callbox-provision")
    until("registration", 30, station.registered)
    assert sh("systemctl is-enabled callbox").strip() == "enabled" and sh("cat /etc/hostname").strip() == "front-12"
    assert "No such file" in sh(f"ls {PROVISION} 2>&1", check=False), "the file has secrets"
    assert sh("stat -c '%a %U:%G' /etc/callbox/callbox.toml /etc/callbox/secrets/password").split("\n") == ["640 root:callbox", "600 root:root"]
    pid = station.pid()
    sh("systemctl restart callbox-provision")
    assert station.pid() == pid and station.registered(), "without the file there is nothing to do"
    step("a file on the boot partition made the station, was removed, and is not needed again")


def power_failure(station):
    """What a start of the machine does with a trial that was interrupted."""
    station.sh("systemctl kill -s KILL callbox-after-upgrade")
    until("its end", 5, lambda: "failed" in station.sh("systemctl is-active callbox-after-upgrade", check=False))
    station.sh("systemctl daemon-reload; systemctl is-enabled callbox-after-upgrade && systemctl start callbox-after-upgrade")


def go_back(device, station, packages):
    sh = device.sh
    first = station.version()
    unit = "/etc/systemd/system/callbox-after-upgrade.service.d"
    sh(f"mkdir -p {unit} && printf '[Service]\\nEnvironment=HEALTHY_WITHIN_S=15 STEADY_S=5\\n' > {unit}/test.conf && systemctl daemon-reload")
    sh("echo '# by the integrator' >> /etc/callbox/callbox.toml")
    configuration = sh("cat /etc/callbox/callbox.toml")
    # The folder of the share is closed to apt's own user.
    sh("rm -rf /etc/apt/sources.list*; echo 'deb [trusted=yes] file:/share/repository ./' > /etc/apt/sources.list; echo 'APT::Sandbox::User \"root\";' > /etc/apt/apt.conf.d/90test")

    def upgrades():
        """The versions that apt would install now."""
        sh("apt-get update -qq 2>&1")
        lines = sh("apt-get upgrade --simulate 2>/dev/null").splitlines()
        return [line.split("(")[1].split()[0] for line in lines if line.startswith("Inst callbox ")]

    for breaks in (without_server, without_anything, dying_later):
        if breaks is dying_later:
            # What worked is not the version that this one replaces.
            sh(f"dpkg -i /share/{packages.version(without_server)}.deb 2>&1")
        bad = packages.version(breaks)
        pid = station.pid()
        began = time.monotonic()
        if breaks is without_server:
            packages.publish(bad)
            assert upgrades() == [bad]
            sh("apt-get upgrade -y 2>&1")
        else:
            sh(f"dpkg -i /share/{bad}.deb 2>&1", check=breaks is not without_anything)
        if breaks is without_anything:
            power_failure(station)
        assert bad in station.version() and station.watching()
        (told,) = station.judged()
        assert station.version() == first, station.version()
        assert f"callbox {bad} was not healthy" in told and "is installed again, and apt does not offer" in told, told
        assert station.registered() and station.pid() != pid
        assert sh("cat /etc/callbox/callbox.toml") == configuration
        assert sh("dpkg --verify callbox | grep -v ' c '; callbox check > /dev/null && echo valid").strip() == "valid"
        assert f"Pin: version {bad}\n" in sh(f"cat {REFUSED}") + "\n"
        step(f"{breaks.__name__.replace('_', ' ')}: back after {time.monotonic() - began:.0f} s; {told!r}")

    assert upgrades() == [], "apt does not try a refused version again"
    next_one = packages.version()
    packages.publish(next_one)
    assert upgrades() == [next_one]
    (_, recorded) = sh("dpkg-query --show --showformat '${Conffiles}' callbox").split()
    assert recorded == sh("md5sum /usr/share/callbox/callbox.toml").split()[0], "dpkg knows what the package came with"
    step("apt offers the next version, no refused one; dpkg knows that somebody has changed the configuration")

    # An upgrade in a call waits for its end, and a version that works is kept.
    good = packages.version()
    sh("callbox call 100")
    until("the call", 20, lambda: talking(station.status()))
    pid = station.pid()
    sh(f"dpkg -i /share/{good}.deb 2>&1")
    time.sleep(3)
    assert talking(station.status()) and station.pid() == pid, "no restart in a call"
    sh("callbox hangup")
    until("the end of the call", 10, lambda: call_state(station.status()) == "idle")
    (told,) = station.judged()
    assert told == f"callbox {good} is healthy" and good in station.version() and station.pid() != pid, told
    step(f"a version that works, installed in a call: restarted after the call; {told!r}")

    # The server is away: neither version is healthy, so the new one is not to blame.
    refused = sh(f"cat {REFUSED}")
    other = packages.version()
    sh(f"dpkg -i /share/{other}.deb 2>&1; kill $(pgrep -f '[c]allbox sandbox')")
    (told,) = station.judged()
    assert "not healthy either" in told and good in station.version() and sh(f"cat {REFUSED}") == refused, told
    step(f"without a server: {told!r}")

    # Where the old version was not healthy, the new one stays.
    sh(f"dpkg -i /share/{other}.deb 2>&1")
    assert station.judged() == [] and other in station.version()
    # Somebody wants an older version.
    pid = station.pid()
    sh(f"dpkg -i /share/{good}.deb 2>&1")
    assert station.judged() == [] and good in station.version() and station.pid() not in (pid, "0")
    step("a version that replaces one that was not healthy stays, and so does an older one that somebody wants")

    sh("dpkg --purge callbox 2>&1")
    left = sh("find / -xdev -not -path '/var/tmp/*' -name '*callbox*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/tmp/*' -not -path '/share/*' -not -path '/var/lib/dpkg/*' -not -path '/etc/systemd/system/*.d' 2>/dev/null", check=False).split()
    assert left == [], left
    step("purged: nothing is left")


def main(package, callbox):
    with tempfile.TemporaryDirectory() as folder:
        share = pathlib.Path(folder)
        shutil.copy(callbox, share / "callbox")
        shutil.copy(package, share / "callbox.deb")
        write_share(share)
        with Device(CACHE, share) as device:
            try:
                device.sh("mount -t tmpfs none /tmp; dpkg -i /share/callbox.deb 2>&1")
                start_server(device)
                start_phone(device)
                station = Station(device)
                provision(device, station)
                go_back(device, station, Packages(package, share))
            except (AssertionError, RuntimeError):
                print(device.sh("systemctl status callbox callbox-after-upgrade --no-pager -l | head -60; journalctl -q -u callbox -u callbox-after-upgrade --no-pager | tail -40", check=False))
                raise
    print("device fleet test passed")


if __name__ == "__main__":
    main(*sys.argv[1:3])
