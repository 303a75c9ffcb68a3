"""Tests the ARM program under qemu-user: its version, `check`, and a whole call between two emulated stations
through the sandbox on loopback, in which each station hears the other.

    python3 call.py ARCH ARM_CALLBOX NATIVE_CALLBOX VIRTCARD

NATIVE_CALLBOX is the server, and it sends the commands to the daemons. VIRTCARD is the plug-in of tests/soundcard, built
for ARM.
"""
import array
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

QEMU = {"arm64": "qemu-aarch64-static", "armhf": "qemu-arm-static"}
RATE = 48000
RING = 60 * RATE
STATION = """
[core]
url = "{url}"
allow_insecure = true
login = "{number}"
password_file = "password"

[media]
bind = ["127.0.0.1"]

[audio]
capture = "mic"
playback = "spk"
echo = "off"
noise_suppression = false
gain_control = false

[gpio]
backend = "simulated"

[[button]]
name = "bell"
pin = 17
press = {{ call = "101" }}

[[answer]]
action = "answer"
after_ms = 300

[control]
socket = "control.sock"
"""


def until(what, seconds, look):
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds} s for: {what}")


class Station:
    """An emulated daemon with a sound card of its own."""

    def __init__(self, folder, number, url, hertz, tools):
        self.folder, self.native = folder / number, tools["native"]
        self.folder.mkdir()
        (self.folder / "password").write_text("callbox\n")
        (self.folder / "callbox.toml").write_text(STATION.format(url=url, number=number))
        # A whole number of periods fits into the ring.
        tone = array.array("h", (round(8000 * math.sin(2 * math.pi * hertz * k / RATE)) for k in range(RATE)))
        (self.folder / "mic.air").write_bytes(tone.tobytes() * 60)
        (self.folder / "spk.air").write_bytes(bytes(RING * 2))
        (self.folder / "asound.conf").write_text(
            "</usr/share/alsa/alsa.conf>\n"
            f'pcm_type.virtcard {{ lib "{tools["virtcard"]}" }}\n'
            f'pcm.mic {{ type virtcard path "{self.folder}/mic.air" rate {RATE} }}\n'
            f'pcm.spk {{ type virtcard path "{self.folder}/spk.air" rate {RATE} }}\n')
        self.environment = dict(os.environ, ALSA_CONFIG_PATH=str(self.folder / "asound.conf"),
                                RUNTIME_DIRECTORY=str(self.folder), STATE_DIRECTORY=str(self.folder))
        self.command = tools["command"]
        self.log = open(self.folder / "log", "w")
        self.process = None

    def run(self, *words):
        return subprocess.run([*self.command, *words], cwd=self.folder, env=self.environment, text=True,
                              capture_output=True, timeout=60)

    def start(self):
        self.process = subprocess.Popen([*self.command, "run", "--config", "callbox.toml"], cwd=self.folder,
                                        env=self.environment, stdout=self.log, stderr=self.log)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)

    def ask(self, *words):
        asked = subprocess.run([self.native, *words, "--socket", str(self.folder / "control.sock")],
                               capture_output=True, text=True, timeout=30)
        return asked.stdout

    def status(self):
        try:
            return json.loads(self.ask("status", "--json"))
        except ValueError:
            return None

    def registered(self):
        return (status := self.status()) and status["session"]["state"] == "registered"

    def talks(self):
        lines = (self.status() or {}).get("lines", [])
        return any(line["state"] == "established" and line["call"]["media_connected"] for line in lines)

    def heard(self, hertz):
        """The amplitude at the loudspeaker, from 1.5 s ago to 0.5 s ago: the mean over tenths of a second, because an
        emulated station under load may leave out a period, which turns the phase."""
        end = int((time.clock_gettime(time.CLOCK_MONOTONIC) - 0.5) * RATE)
        with open(self.folder / "spk.air", "rb") as air:
            ring = array.array("h", air.read())
        turn, step, amplitudes = 2 * math.cos(2 * math.pi * hertz / RATE), RATE // 10, []
        for begin in range(end - RATE, end, step):
            one = two = 0.0
            for k in range(begin, begin + step):
                one, two = ring[k % RING] / 32768 + turn * one - two, one
            amplitudes.append(2 * math.sqrt(max(0.0, one * one + two * two - turn * one * two)) / step)
        return sum(amplitudes) / len(amplitudes)


def main(arch, program, native, virtcard):
    # Under emulation, audio threads with real-time priority would take both cores for themselves.
    command = ["setpriv", "--inh-caps=-sys_nice", "--bounding-set=-sys_nice", QEMU[arch], "-L", "/", program]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60).stdout.strip()
    assert version.startswith("callbox "), version
    print(f"  {arch}: {version}")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = pathlib.Path(name)
        tools = {"native": native, "virtcard": virtcard, "command": command}
        server_log = open(folder / "server", "w+")
        server = subprocess.Popen([native, "sandbox", "--no-station", "--listen", "127.0.0.1:0"], stdout=server_log,
                                  stderr=server_log, env=dict(os.environ, XDG_RUNTIME_DIR=name))
        stations = []
        try:
            def address():
                lines = (folder / "server").read_text().split()
                return next((word.rstrip("/") for word in lines if word.startswith("http://")), None)

            url = until("the server", 20, address)
            door, phone = Station(folder, "100", url, 500, tools), Station(folder, "101", url, 1000, tools)
            stations = [door, phone]
            checked = door.run("check", "--config", "callbox.toml")
            assert checked.returncode == 0 and "both can be opened" in checked.stdout, checked
            wrong = door.run("check", "--config", "nowhere.toml")
            assert wrong.returncode == 2, wrong
            print(f"  {arch}: check says what will happen, and what is wrong")
            for station in stations:
                station.start()
            for station in stations:
                until("registration", 60, station.registered)
            door.ask("press", "bell")
            for station in stations:
                until("the call", 60, station.talks)
            # Each hears the other one, and nobody hears itself.
            tones = lambda: (door.heard(1000), phone.heard(500), door.heard(500), phone.heard(1000))
            until("the tones", 20, lambda: min(tones()[:2]) > 0.1 and max(tones()[2:]) < 0.02)
            at_door, at_phone, *_ = tones()
            door.ask("hangup")
            until("the end", 20, lambda: not door.talks() and not phone.talks())
            print(f"  {arch}: a call between two emulated stations: the tones are heard at {at_door:.2f} and {at_phone:.2f}")
        except AssertionError:
            for log in folder.glob("*/log"):
                print(f"--- {log.parent.name}\n{log.read_text()[-3000:]}")
            raise
        finally:
            for station in stations:
                station.stop()
            server.terminate()
            server.wait(10)
    print(f"ARM test passed: {arch}")


if __name__ == "__main__":
    main(*sys.argv[1:5])
