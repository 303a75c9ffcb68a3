"""Pins on the kernel's own GPIO: edges, gestures, faults and relays of a daemon without systemd.

    python3 pins.py CALLBOX
"""
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

from device import Device
from station import LOOPBACK, call_state, head, slack, start_phone, start_server, status, step, talking, until, write_share

CACHE = os.environ.get("DEVICE_CACHE", os.path.expanduser("~/.cache/callbox-device"))
SOCKET = "/tmp/door.sock"
# The chip is named by its label, because the kernel chooses its number. One pin is named by its line's name.
DOOR = head("101", LOOPBACK) + """
[gpio]
chip = "door"

[[button]]
name = "bell"
pin = 17
debounce_ms = 150
press = { call = "100" }
again = "hangup"

[[button]]
name = "gate"
pin = "GATE"
press = { play = "door_open" }
long_press = { output = "strike", pulse_ms = 3000 }
long_ms = 4000
double_press = { output = "light", pulse_ms = 3000 }
double_ms = 2000

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
        # A child of the shell itself, so that its process id is known.
        self.device.sh("RUNTIME_DIRECTORY=/run /share/callbox run --config /share/door.toml > /tmp/door.log 2>&1 & echo $! > /tmp/door.pid")
        until("registration", 30, lambda: (s := self.status()) and s["session"]["state"] == "registered")
        self.device.sh(f"/share/callbox events --json --socket {SOCKET} > /tmp/door.events 2>&1 &")
        # A press before the station has requested its pins would be lost.
        if by_kernel is not None:
            until("its pins", 10, lambda: self.button("bell")["debounced_by_kernel"] == by_kernel)

    def signal(self, name):
        self.device.sh(f"kill -{name} $(cat /tmp/door.pid)", check=False)

    def status(self):
        return status(self.device, SOCKET)

    def button(self, name):
        return next(button for button in self.status()["buttons"] if button["name"] == name)

    def press(self, pin, name, seconds=0.2):
        # The pin is active low and pulled up. A finger pulls it down until the station has seen it.
        self.chip.set(pin, 0)
        time.sleep(seconds)
        until(f"{name} to be down", 5, lambda: self.button(name)["active"])
        self.chip.set(pin, 1)
        until(f"{name} to be up", 5, lambda: not self.button(name)["active"])

    def output_times_s(self, name):
        """How long an output was on each time, by the station's own events."""
        times, since = [], None
        for line in self.device.sh("cat /tmp/door.events").splitlines():
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "output" and event["output"] == name:
                if event["drive"] == "on":
                    since = since or event["at_ms"]
                elif since:
                    times.append((event["at_ms"] - since) / 1000)
                    since = None
        return times

    def presses(self):
        return int(self.device.sh("grep -cE 'button [a-z]+: (press|long|double)' /tmp/door.log", check=False).strip() or 0)


def main(callbox):
    with tempfile.TemporaryDirectory() as folder:
        share = pathlib.Path(folder)
        shutil.copy(callbox, share / "callbox")
        write_share(share)
        (share / "door.toml").write_text(DOOR)
        with Device(CACHE, share) as device:
            shutil.copy(pathlib.Path(CACHE) / "i2c-stub.ko", share)
            try:
                run(device)
            except (AssertionError, RuntimeError):
                for log in ("server", "phone", "door"):
                    print(f"--- {log}\n" + device.sh(f"tail -40 /tmp/{log}.log", check=False))
                raise


def run(device):
    sh = device.sh
    start_server(device)
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

    door.press(17, "bell")
    until("the call", 20, lambda: talking(door.status()))
    assert door.button("bell")["debounced_by_kernel"]
    assert chip.get(24) == 1, "the lamp is lit in a call"
    # A second press hangs up (again = "hangup").
    door.press(17, "bell")
    until("the end", 10, lambda: call_state(door.status()) == "idle")
    assert door.presses() == 2, door.presses()
    step("a press calls, a press hangs up, on kernel edges with the kernel's debounce")

    before = door.presses()
    bounce = f"for i in 1 2 3 4 5 6 7; do echo pull-down > {chip.path}/sim_gpio17/pull; echo pull-up > {chip.path}/sim_gpio17/pull; done"
    sh(f"{bounce}; echo pull-down > {chip.path}/sim_gpio17/pull; sleep 0.5; {bounce}")
    until("the call", 20, lambda: talking(door.status()))
    until("the bell to be up", 5, lambda: not door.button("bell")["active"])
    assert door.presses() == before + 1, f"{door.presses() - before} presses"
    step("a bouncing contact is one press")

    chip.set(27, 0)
    until("the end by the door contact", 10, lambda: call_state(door.status()) == "idle")
    assert next(sensor for sensor in door.status()["sensors"])["active"]
    chip.set(27, 1)
    until("the door's closing", 5, lambda: not door.status()["sensors"][0]["active"])
    step("both edges of a sensor")

    door.press(20, "gate", 4.2)
    until("the strike's time", 10, lambda: len(door.output_times_s("strike")) == 1)
    tap = lambda level: f"echo pull-{level} > {chip.path}/sim_gpio20/pull; sleep 0.1"
    sh("; ".join(tap(level) for level in ("down", "up", "down", "up")))
    until("the light", 3, lambda: chip.get(25) == 0)
    until("its end", 5, lambda: chip.get(25) == 1)
    pulses = door.output_times_s("strike") + door.output_times_s("light")
    assert len(pulses) == 2 and all(2.95 <= pulse < 3.0 + 0.2 * slack() for pulse in pulses), pulses
    step(f"long and double press; pulses end by themselves ({pulses} s of 3 s)")

    sh(f"/share/callbox output strike on --socket {SOCKET}")
    until("max_on_ms", 6, lambda: len(door.output_times_s("strike")) == 2)
    took = door.output_times_s("strike")[1]
    # Both times are whole milliseconds.
    assert chip.get(23) == 0 and 3.99 <= took < 4.0 + 0.2 * slack(), took
    step(f"a relay that was left on goes off by itself after {took:.1f} s (max_on_ms = 4000)")

    chip.set(17, 0)
    until("the call of a button that stays down", 20, lambda: talking(door.status()))
    sh(f"/share/callbox hangup --socket {SOCKET}")
    _, took = until("the fault", 70, lambda: "stuck" in (door.button("bell").get("fault") or ""))
    until("the lamp's fault", 5, lambda: "heartbeat" in str(door.status()["outputs"]))
    before = door.presses()
    chip.set(17, 1)
    until("its recovery", 5, lambda: not door.button("bell").get("fault"))
    until("the bell to be up", 5, lambda: not door.button("bell")["active"])
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

    # The chip disappears, as with its module, and comes back under the same label.
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
    door.press(17, "bell")
    until("a call by the new chip", 20, lambda: talking(door.status()))
    step(f"a chip that went and came again is taken up after {took:.1f} s")

    expander(device, door)

    door.signal("TERM")
    until("the end", 5, lambda: sh("test -d /proc/$(cat /tmp/door.pid); echo $?").strip() == "1")
    lines = int(sh("grep -c 'WARN pin of ' /tmp/door.log").strip())
    assert lines <= 8, f"{lines} log lines for one loss of six pins and one held pin"
    print("device pins test passed")


# Eight pins on an I2C bus, without an interrupt line.
EXPANDER = """
[core]
url = "http://127.0.0.1:8642"
allow_insecure = true
login = "101"
password_file = "/share/password"
[gpio]
chip = "CHIP"
[[button]]
name = "step"
pin = 3
pull = "off"
press = { play = "answer" }
[control]
socket = "/tmp/expander.sock"
"""


def expander(device, door):
    """Inputs of a PCA9554 (here: the kernel's own driver on the kernel's bus without hardware) are polled."""
    sh = device.sh
    sh("insmod /share/i2c-stub.ko chip_addr=0x20")
    bus = sh("grep -l 'SMBus stub' /sys/bus/i2c/devices/i2c-*/name").split("/")[5].removeprefix("i2c-")
    level = lambda value: sh(f"i2cset -f -y {bus} 0x20 0 {value}")
    # All pins are inputs (register 3) and high; a finger pulls one down.
    sh(f"i2cset -f -y {bus} 0x20 3 0xff")
    level("0xff")
    sh(f"echo pca9554 0x20 > /sys/bus/i2c/devices/i2c-{bus}/new_device && udevadm settle")
    chip = sh("grep -l 0-0020 /sys/bus/gpio/devices/gpiochip*/../uevent 2>/dev/null; ls -d /sys/bus/i2c/devices/%s-0020/gpiochip*" % bus, check=False).split()[-1].split("/")[-1]
    (device.share / "expander.toml").write_text(EXPANDER.replace("CHIP", chip))
    checked = sh("/share/callbox check --config /share/expander.toml")
    assert "polled every 5 ms" in checked, checked
    sh("/share/callbox run --config /share/expander.toml > /tmp/expander.log 2>&1 & echo $! > /tmp/expander.pid")
    button = lambda: (s := status(device, "/tmp/expander.sock")) and s["buttons"][0]
    until("the button of the expander", 20, lambda: (found := button()) and not found.get("fault"))
    for number in (1, 2, 3):
        level("0xf7")
        until("the button to be down", 5, lambda: button()["active"])
        level("0xff")
        until("the button to be up", 5, lambda: not button()["active"])
        until("its press", 5, lambda: sh("grep -c 'button step: press' /tmp/expander.log", check=False).strip() == str(number))
    sh("kill $(cat /tmp/expander.pid)")
    step("inputs of an expander without interrupts are polled, which check says")


if __name__ == "__main__":
    main(sys.argv[1])
