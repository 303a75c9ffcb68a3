"""Levels by the mixer of the kernel's own card (snd-dummy): `volume` and `capture_gain_db`.

    python3 mixer.py CALLBOX
"""
import math
import os
import pathlib
import re
import shutil
import sys
import tempfile

from device import Device
from station import head, start_server, status, step, until, write_share

CACHE = os.environ.get("DEVICE_CACHE", os.path.expanduser("~/.cache/callbox-device"))
SOCKET = "/tmp/door.sock"
DOOR = head("101", """capture = "plughw:CARD=Dummy"
playback = "plughw:CARD=Dummy"
volume = 80
capture_gain_db = -10
""") + """
[gpio]
backend = "simulated"

[control]
socket = "/tmp/door.sock"
"""


def main(callbox):
    with tempfile.TemporaryDirectory() as folder:
        share = pathlib.Path(folder)
        shutil.copy(callbox, share / "callbox")
        write_share(share)
        (share / "door.toml").write_text(DOOR)
        with Device(CACHE, share) as device:
            try:
                run(device)
            except (AssertionError, RuntimeError):
                print("--- door\n" + device.sh("tail -30 /tmp/door.log", check=False))
                raise


def run(device):
    sh = device.sh
    mixer = lambda name: sh(f"amixer -c Dummy sget {name}")
    decibels = lambda name: float(re.search(r"\[(-?[0-9.]+)dB\]", mixer(name)).group(1))
    start_server(device)
    # As somebody may have left it: too low, and with the microphone switched off.
    sh("amixer -q -c Dummy sset Master 10% && amixer -q -c Dummy sset Mic 10% nocap")
    listed = sh("/share/callbox devices")
    assert "levels are set with Master (loudspeaker), Mic (microphone)" in listed, listed
    sh("/share/callbox run --config /share/door.toml > /tmp/door.log 2>&1 & echo $! > /tmp/door.pid")

    def near(name, wanted):
        # Steps of the card are 0.3 dB.
        return lambda: abs(decibels(name) - wanted) < 0.31

    level = lambda volume: 40 * math.log10(volume / 100)
    until("the loudspeaker's control at 80", 10, near("Master", level(80)))
    until("the microphone's control at -10 dB", 10, near("Mic", -10))
    assert "[on]" in mixer("Mic"), mixer("Mic")
    sound = status(device, SOCKET)["sound"]
    assert sound["playback_control"]["name"] == "Master" and sound["capture_control"]["name"] == "Mic", sound
    assert abs(sound["playback_control"]["db"] - level(80)) < 0.31, sound
    assert "Master -3." in sh(f"/share/callbox status --socket {SOCKET}")
    step("the card's own mixer does the volume and the microphone's gain, and a switch that was off is on")

    sh(f"/share/callbox volume 30 --socket {SOCKET}")
    until("the loudspeaker's control at 30", 5, near("Master", level(30)))
    step("a new volume goes to the mixer at once")

    # A level that somebody sets by hand stays until the next volume.
    sh("amixer -q -c Dummy sset Master 50%")
    sh(f"/share/callbox volume 60 --socket {SOCKET}")
    until("the loudspeaker's control at 60", 5, near("Master", level(60)))
    assert sh("grep -c -i mixer /tmp/door.log || true").strip() == "0"
    step("a level that was turned by hand comes back with the next volume")
    print("device mixer test passed")


if __name__ == "__main__":
    main(sys.argv[1])
