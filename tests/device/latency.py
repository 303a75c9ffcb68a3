"""From a finger to the wire, on the kernel's GPIO: the time from the end of debounce until the call goes out.

    python3 latency.py CALLBOX

The time is measured from just before the line falls until the station reports the call, which it does in the turn that
sends `outgoing_call`; and until the far phone reports it, which includes the server's time. This machine has one
processor and a tick of 10 ms, in which its debounce counts.
"""
import json
import os
import pathlib
import shutil
import sys
import tempfile

from device import Device
from pins import DOOR, Door, step
from station import start_phone, start_server, write_share

CACHE = os.environ.get("DEVICE_CACHE", os.path.expanduser("~/.cache/callbox-device"))
DEBOUNCE_MS = 20
PRESSES = 100
# The shell's own clock is read, because starting another process would take longer than what is measured.
FINGER = """
for i in $(seq $2); do
  echo $EPOCHREALTIME >> /tmp/pressed
  echo pull-down > $1
  sleep 0.3
  echo pull-up > $1
  /share/callbox hangup --socket /tmp/door.sock
  sleep 0.4
done
"""


def main(callbox):
    with tempfile.TemporaryDirectory() as folder:
        share = pathlib.Path(folder)
        shutil.copy(callbox, share / "callbox")
        write_share(share)
        (share / "door.toml").write_text(DOOR.replace('name = "bell"\n', f'name = "bell"\ndebounce_ms = {DEBOUNCE_MS}\n').replace('again = "hangup"\n', ""))
        phone = share / "phone.toml"
        phone.write_text(phone.read_text().replace('action = "answer"\nafter_ms = 300', 'action = "ring"'))
        (share / "press.sh").write_text(FINGER)
        with Device(CACHE, share) as device:
            run(device)


def run(device):
    sh = device.sh
    start_server(device)
    start_phone(device)
    chip = device.gpio_chip("door", {17: "BELL", 20: "GATE", 27: "CONTACT", 23: "STRIKE", 24: "LAMP", 25: "LIGHT"})
    for pin in (17, 20, 27):
        chip.set(pin, 1)
    Door(device, chip).start()
    for name in ("door", "phone"):
        sh(f"/share/callbox events --json --socket /tmp/{name}.sock > /tmp/{name}.events 2>&1 & sleep 0.5")
    sh(f"bash /share/press.sh {chip.path}/sim_gpio17/pull {PRESSES} > /dev/null 2>&1")
    pressed = [float(line) * 1000 for line in sh("cat /tmp/pressed").split()]
    for name, first, words in (("door", "dialing", "outgoing_call"), ("phone", "incoming", "the far phone")):
        events = [json.loads(line) for line in sh(f"cat /tmp/{name}.events").splitlines() if line.startswith("{")]
        seen = [event["at_ms"] for event in events if event["event"] == "call" and event["state"] == first]
        assert len(seen) == len(pressed) == PRESSES, (len(seen), len(pressed), events[:3])
        took = sorted(there - here - DEBOUNCE_MS for here, there in zip(pressed, seen))
        median, p99 = took[len(took) // 2], took[int(len(took) * 0.99) - 1]
        step(f"end of debounce to {words}: median {median:.0f} ms, p99 {p99:.0f} ms, most {took[-1]:.0f} ms of {PRESSES} presses")


if __name__ == "__main__":
    main(sys.argv[1])
