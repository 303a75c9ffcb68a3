"""Pins on the kernel's own GPIO: edges, gestures, faults and relays of a daemon without systemd.

    python3 pins.py CALLBOX
"""
import os
import pathlib
import shutil
import sys
import tempfile
import time

from device import Device
from station import call_state, start_core, start_phone, status, talking, until, write_share

CACHE = os.environ.get("DEVICE_CACHE", os.path.expanduser("~/.cache/callbox-device"))
SOCKET = "/tmp/door.sock"
# By label: the number of the chip is the kernel's business. One pin by its name.
DOOR = """
[core]
url = "http://127.0.0.1:8642"
allow_insecure = true
login = "101"
password_file = "/share/password"

[media]
bind = ["127.0.0.1"]

[audio]
capture = "hw:Loopback,1,0"
playback = "hw:Loopback,0,1"

[gpio]
chip = "door"

[[button]]
name = "bell"
pin = 17
press = { call = "100" }
again = "hangup"

[[button]]
name = "gate"
pin = "GATE"
press = { play = "door_open" }
long_press = { output = "strike", pulse_ms = 1000 }
double_press = { output = "light", pulse_ms = 1000 }

[[sensor]]
name = "contact"
pin = 27
opened = { hangup = "all" }

[[output]]
name = "strike"
kind = "relay"
pin = 23
max_on_ms = 4000

[[output]]
name = "light"
kind = "relay"
pin = 25
active = "low"

[[output]]
name = "lamp"
kind = "led"
pin = 24
show = { ready = "off", calling = "blink", talking = "on", fault = "heartbeat" }

[control]
socket = "/tmp/door.sock"
"""


class Door:
    def __init__(self, device, chip):
        self.device, self.chip = device, chip

    def start(self, by_kernel=True):
        # The shell's own child, so that its number is known.
        self.device.sh("RUNTIME_DIRECTORY=/run /share/callbox run --config /share/door.toml > /tmp/door.log 2>&1 & echo $! > /tmp/door.pid")
        until("registration", 30, lambda: (s := self.status()) and s["session"]["state"] == "registered")
        # A press before the pin is taken is nobody's.
        if by_kernel is not None:
            until("its pins", 10, lambda: self.button("bell")["debounced_by_kernel"] == by_kernel)

    def signal(self, name):
        self.device.sh(f"kill -{name} $(cat /tmp/door.pid)", check=False)

    def status(self):
        return status(self.device, SOCKET)

    def button(self, name):
        return next(button for button in self.status()["buttons"] if button["name"] == name)

    def press(self, pin, seconds=0.15):
        # Active low, pulled up: a finger pulls it down.
        self.chip.set(pin, 0)
        time.sleep(seconds)
        self.chip.set(pin, 1)

    def presses(self):
        return int(self.device.sh("grep -cE 'button [a-z]+: (press|long|double)' /tmp/door.log", check=False).strip() or 0)


def step(text):
    print(f"  {text}", flush=True)


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
                for log in ("core", "phone", "door"):
                    print(f"--- {log}\n" + device.sh(f"tail -40 /tmp/{log}.log", check=False))
                raise


def run(device):
    sh = device.sh
    start_core(device)
    start_phone(device)
    chip = device.gpio_chip("door", {17: "BELL", 20: "GATE", 27: "CONTACT", 23: "STRIKE", 24: "LAMP", 25: "LIGHT"})
    for pin in (17, 20, 27):
        chip.set(pin, 1)

    shown = sh("/share/callbox devices")
    assert "[door]  32 lines" in shown and "GATE" in shown, shown
    checked = sh("/share/callbox check --config /share/door.toml")
    assert "pin       of button gate: " in checked and "line 20 (GATE)" in checked, checked
    step("devices and check name chips and lines")

    door = Door(device, chip)
    door.start()
    assert not any(pin["fault"] for pin in door.status()["buttons"] if "fault" in pin)
    assert [chip.get(pin) for pin in (23, 25)] == [0, 1], "relays at rest, each by its own polarity"
    checked = sh("/share/callbox check --config /share/door.toml")
    assert checked.count("in use by the running daemon") == 6, checked
    step("check beside the daemon knows its own pins")

    door.press(17)
    until("the call", 20, lambda: talking(door.status()))
    assert door.button("bell")["debounced_by_kernel"]
    assert chip.get(24) == 1, "the lamp is lit in a call"
    # Presses and releases of one finger that trembles; a second real press hangs up (again = "hangup").
    door.press(17)
    until("the end", 10, lambda: call_state(door.status()) == "idle")
    assert door.presses() == 2, door.presses()
    step("a press calls, a press hangs up, on kernel edges with the kernel's debounce")

    before = door.presses()
    bounce = f"for i in 1 2 3 4 5 6 7; do echo pull-down > {chip.path}/sim_gpio17/pull; echo pull-up > {chip.path}/sim_gpio17/pull; done"
    sh(f"{bounce}; echo pull-down > {chip.path}/sim_gpio17/pull; sleep 0.2; {bounce}")
    until("the call", 20, lambda: talking(door.status()))
    time.sleep(0.5)
    assert door.presses() == before + 1, f"{door.presses() - before} presses"
    step("a bouncing contact is one press")

    chip.set(27, 0)
    until("the end by the door contact", 10, lambda: call_state(door.status()) == "idle")
    assert next(sensor for sensor in door.status()["sensors"])["active"]
    chip.set(27, 1)
    until("the door's closing", 5, lambda: not door.status()["sensors"][0]["active"])
    step("both edges of a sensor")

    door.press(20, 1.2)
    until("the strike", 2, lambda: chip.get(23) == 1)
    _, took = until("its end", 3, lambda: chip.get(23) == 0)
    tap = lambda level: f"echo pull-{level} > {chip.path}/sim_gpio20/pull; sleep 0.1"
    sh("; ".join(tap(level) for level in ("down", "up", "down", "up")))
    until("the light", 2, lambda: chip.get(25) == 0)
    until("its end", 3, lambda: chip.get(25) == 1)
    step(f"long and double press; pulses end by themselves ({took:.1f} s of 1 s after the first look)")

    sh(f"/share/callbox output strike on --socket {SOCKET}")
    assert chip.get(23) == 1
    _, took = until("max_on_ms", 6, lambda: chip.get(23) == 0)
    assert 3.0 < took < 5.0, took
    step(f"a relay that was left on goes off by itself after {took:.1f} s (max_on_ms = 4000)")

    chip.set(17, 0)
    until("the call of a button that stays down", 20, lambda: talking(door.status()))
    sh(f"/share/callbox hangup --socket {SOCKET}")
    _, took = until("the fault", 70, lambda: "stuck" in (door.button("bell").get("fault") or ""))
    until("the lamp's fault", 5, lambda: "heartbeat" in str(door.status()["outputs"]))
    before = door.presses()
    chip.set(17, 1)
    until("its recovery", 5, lambda: not door.button("bell").get("fault"))
    time.sleep(0.5)
    assert door.presses() == before and call_state(door.status()) == "idle"
    step("a stuck button is a fault that calls nobody, and recovers")

    # The process dies with its relay on: this chip puts a released line back to its pull.
    sh(f"/share/callbox output strike on --socket {SOCKET}")
    assert chip.get(23) == 1
    door.signal("KILL")
    until("the relay after kill -9", 3, lambda: chip.get(23) == 0)
    step("kill -9 on a chip that resets a released line: the relay is at rest")

    held = sh("gpioset --help > /dev/null 2>&1; gpiomon --version | head -1", check=False)
    sh(f"gpiomon {chip.name} 17 > /dev/null 2>&1 & echo $! > /tmp/gpiomon.pid")
    until("gpiomon", 5, lambda: "gpiomon" in sh("/share/callbox devices"))
    refused = sh("/share/callbox check --config /share/door.toml 2>&1; echo rc $?")
    assert 'the pin of button "bell": line 17 (BELL)' in refused and "gpiomon" in refused and "rc 2" in refused, refused
    door.start(by_kernel=None)
    fault = door.button("bell")["fault"]
    assert "gpiomon" in fault, fault
    assert not door.button("gate").get("fault"), "the other pins work"
    sh("kill $(cat /tmp/gpiomon.pid)")
    _, took = until("the pin", 10, lambda: not door.button("bell").get("fault"))
    step(f"a pin that {held} holds is named, and taken up {took:.1f} s after it is free")

    # The chip goes with its module, and comes again under the same label.
    base = "/sys/kernel/config/gpio-sim/door"
    sh(f"echo 0 > {base}/live")
    until("the chip's end", 8, lambda: all(button.get("fault") for button in door.status()["buttons"]))
    assert all(output.get("fault") for output in door.status()["outputs"])
    sh(f"echo 1 > {base}/live && udevadm settle")
    chip.name = sh(f"cat {base}/bank0/chip_name").strip()
    chip.path = f"/sys/devices/platform/{sh(f'cat {base}/dev_name').strip()}/{chip.name}"
    for pin in (17, 20, 27):
        chip.set(pin, 1)
    _, took = until("all pins", 10, lambda: not any(
        pin.get("fault") for kind in ("buttons", "sensors", "outputs") for pin in door.status()[kind]))
    door.press(17)
    until("a call by the new chip", 20, lambda: talking(door.status()))
    step(f"a chip that went and came again is taken up after {took:.1f} s")

    door.signal("TERM")
    until("the end", 5, lambda: sh("test -d /proc/$(cat /tmp/door.pid); echo $?").strip() == "1")
    lines = int(sh("grep -c 'WARN pin of ' /tmp/door.log").strip())
    assert lines <= 8, f"{lines} log lines for one loss of six pins and one held pin"
    print("device pins test passed")


if __name__ == "__main__":
    main(sys.argv[1])
