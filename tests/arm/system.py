"""Debian for arm64 under qemu-system-aarch64: the steps of docs/install.md, from the package to the first call,
and a reboot that ends in a running, registered service.

    python3 system.py CALLBOX_ARM64_DEB

The server and the phone are the same program in the same machine. Its GPIO chip is the board's own (PL061), with
a real driver behind it; its sound card is the kernel's loop.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "device"))
from device import Device
from station import PHONE, call_state, talking, until

CACHE = pathlib.Path(os.environ.get("ARM_SYSTEM_CACHE", os.path.expanduser("~/.cache/callbox-arm-system")))
SERVER = """[Service]
Environment=XDG_RUNTIME_DIR=/run
ExecStart=/usr/bin/callbox sandbox --no-station --listen 127.0.0.1:8642 --data /var/lib/server
[Install]
WantedBy=multi-user.target
"""
PHONE_UNIT = """[Service]
ExecStart=/usr/bin/callbox run --config /etc/phone.toml
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
"""
DOOR = """[core]
url = "http://127.0.0.1:8642"
allow_insecure = true
token_file = "secrets/token"

[media]
bind = ["127.0.0.1"]

[audio]
capture = "plughw:CARD=Loopback,DEV=1,SUBDEV=0"
playback = "plughw:CARD=Loopback,DEV=0,SUBDEV=1"

[gpio]
chip = "9030000.pl061"

[[button]]
name = "bell"
pin = 5
active = "high"
press = { call = "100" }

[[output]]
name = "strike"
kind = "relay"
pin = 6
max_on_ms = 8000
"""
# The processor is emulated: what takes a second on a board takes ten here.
PATIENCE_S = 180


def step(words):
    print("  " + words, flush=True)


class ArmMachine(Device):
    """One run of the machine, whose disk forgets all changes at the end. The files of `share` are on a second disk."""

    def __enter__(self):
        self.share.mkdir(exist_ok=True)
        disk = pathlib.Path(self.work.name) / "share.img"
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(self.share), str(disk), "64M"], check=True)
        drive = lambda file, extra: ["-drive", f"file={file},format=raw,if=virtio,{extra}"]
        self.process = subprocess.Popen(
            ["qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024",
             "-display", "none", "-monitor", "none", "-nic", "none", "-serial", "stdio",
             "-kernel", str(self.cache / "linux"), "-initrd", str(self.cache / "initrd"),
             "-append", "console=ttyAMA0 quiet systemd.show_status=0",
             *drive(self.cache / "root.img", "snapshot=on"), *drive(disk, "readonly=on")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        self._until("DEVICE-READY")
        return self

    def reboot(self):
        self.process.stdin.write("(sleep 1; systemctl reboot) &\n")
        self.process.stdin.flush()
        self._until("DEVICE-RC")
        self._until("DEVICE-READY")


def main(package):
    with tempfile.TemporaryDirectory() as folder:
        share = pathlib.Path(folder)
        shutil.copy(package, share / "callbox.deb")
        files = {"server.service": SERVER, "phone.service": PHONE_UNIT, "phone.toml": PHONE.replace("/share/", "/etc/"),
                 "door.toml": DOOR, "password": "callbox\n"}
        for name, text in files.items():
            (share / name).write_text(text)
        start = time.monotonic()
        with ArmMachine(CACHE, share) as machine:
            step(f"booted after {time.monotonic() - start:.0f} s: {machine.sh('uname -srm').strip()}")
            try:
                run(machine)
            except (AssertionError, RuntimeError):
                print(machine.sh("journalctl -b -n 60 --no-pager", check=False))
                raise


def status(machine, socket="/run/callbox/control.sock"):
    try:
        return json.loads(machine.sh(f"callbox status --json --socket {socket}", check=False))
    except ValueError:
        return None


def run(machine):
    sh = machine.sh
    registered = lambda: (s := status(machine)) and s["session"]["state"] == "registered"
    sh("mkdir -p /share && mount -o ro /dev/vdb /share && echo snd-aloop > /etc/modules-load.d/loop.conf && modprobe snd-aloop")

    # docs/install.md, 2: the package.
    sh("apt-get install -y /share/callbox.deb < /dev/null")
    assert sh("systemctl is-enabled callbox", check=False).strip() == "disabled"
    assert sh("systemctl is-active callbox", check=False).strip() == "inactive"
    step("installed; nothing runs yet")
    sh("cp /share/server.service /share/phone.service /etc/systemd/system/ && cp /share/phone.toml /share/password /etc/ && systemctl enable --now server phone")

    # 3: the configuration.
    devices = sh("callbox devices")
    assert "plughw:CARD=Loopback" in devices and "[9030000.pl061]  8 lines" in devices, devices
    sh("mkdir -p -m 700 /etc/callbox/secrets && cp /share/door.toml /etc/callbox/callbox.toml")
    login = "callbox login --url http://127.0.0.1:8642 --allow-insecure --user 101 --password-file /etc/password --token-file /etc/callbox/secrets/token"
    until("the login", PATIENCE_S, lambda: sh(f"{login} && echo done", check=False).strip().endswith("done"))
    checked = sh("callbox check")
    assert "of button bell: gpiochip0 line 5" in checked, checked
    step("devices, login and check say what docs/install.md says")

    # 4: the service.
    sh("systemctl enable --now callbox")
    until("the registration", PATIENCE_S, registered)
    shown = sh("systemctl status callbox", check=False)
    assert 'Status: "registered"' in shown, shown
    # This server forgets its tokens when it starts. From now on the station logs in with name and password.
    sh("install -m 600 /share/password /etc/callbox/secrets/password")
    sh("sed -i 's|^token_file.*|login = \"101\"\\npassword_file = \"secrets/password\"|' /etc/callbox/callbox.toml && callbox check && systemctl restart callbox")
    until("the registration with a password", PATIENCE_S, registered)
    step("systemctl status: registered")
    call(machine)
    step("a press, a call with sound both ways, the strike, a hangup")

    start = time.monotonic()
    sh("sync")
    machine.reboot()
    until("the registration after the boot", PATIENCE_S, registered)
    assert sh("systemctl is-active callbox").strip() == "active"
    assert sh("systemctl show callbox -P NRestarts").strip() == "0"
    step(f"rebooted: running and registered {time.monotonic() - start:.0f} s after the command")
    sh("mkdir -p /share && mount -o ro /dev/vdb /share")
    call(machine)
    print("arm system test passed")


def call(machine):
    sh = machine.sh
    until("the phone", PATIENCE_S, lambda: (s := status(machine, "/tmp/phone.sock")) and s["session"]["state"] == "registered")
    sh("callbox press bell")
    until("a call with sound both ways", PATIENCE_S, lambda: talking(status(machine)))
    sh("callbox output strike pulse --ms 2000")
    assert next(o for o in status(machine)["outputs"] if o["name"] == "strike")["drive"] == "on"
    sh("callbox hangup")
    until("the end", PATIENCE_S, lambda: call_state(status(machine)) == "idle")


if __name__ == "__main__":
    main(sys.argv[1])
