"""A machine that claims to be a Raspberry Pi 4: `auto` finds the chip behind its header, and rppal's inputs work.

    python3 raspberry.py CALLBOX

rppal's outputs are registers, here a file of zeros: they prove nothing and are not checked (docs/workarounds.md,
"tests: rppal outputs prove nothing without a board").
"""
import os
import pathlib
import shutil
import sys
import tempfile

from device import Device
from pins import DOOR, Door, step
from station import start_phone, start_server, talking, until, write_share

CACHE = os.environ.get("DEVICE_CACHE", os.path.expanduser("~/.cache/callbox-device"))
# No chip is named, and one pin is written as people with a Raspberry Pi write it.
AUTO = DOOR.replace('chip = "door"\n', "").replace("pin = 17", 'pin = "GPIO17"').replace('pin = "GATE"', "pin = 20")
RPPAL = AUTO.replace("[gpio]\n", '[gpio]\nbackend = "rppal"\n')


def main(callbox):
    with tempfile.TemporaryDirectory() as folder:
        share = pathlib.Path(folder)
        shutil.copy(callbox, share / "callbox")
        write_share(share)
        with Device(CACHE, share) as device:
            try:
                run(device, share)
            except (AssertionError, RuntimeError):
                for log in ("server", "phone", "door"):
                    print(f"--- {log}\n" + device.sh(f"tail -30 /tmp/{log}.log", check=False))
                raise


def run(device, share):
    sh = device.sh
    # Another chip comes first, as on boards with an expander, so the number of a chip means nothing.
    device.gpio_chip("expander", {0: "OTHER"}, 8)
    chip = device.gpio_chip("pinctrl-bcm2711", {}, 58)
    assert chip.name != "gpiochip0"
    sh("printf 'processor\\t: 0\\nHardware\\t: BCM2711\\nRevision\\t: c03114\\nSerial\\t\\t: 100000001\\n' > /tmp/cpuinfo && mount --bind /tmp/cpuinfo /proc/cpuinfo")
    sh("dd if=/dev/zero of=/dev/gpiomem bs=4096 count=1 2>/dev/null")
    for pin in (17, 20, 27):
        chip.set(pin, 1)
    start_server(device)
    start_phone(device)
    assert "This is a Raspberry Pi 4" in sh("/share/callbox devices")
    (share / "door.toml").write_text(AUTO)
    checked = sh("/share/callbox check --config /share/door.toml")
    assert f"pin       of button bell: {chip.name} line 17" in checked, checked
    door = Door(device, chip)
    door.start()
    door.press(17, "bell")
    until("the call", 20, lambda: talking(door.status()))
    door.signal("TERM")
    until("the end", 5, lambda: sh("test -d /proc/$(cat /tmp/door.pid); echo $?").strip() == "1")
    step("auto finds the chip behind the header by its label, and GPIO17 on it")

    (share / "door.toml").write_text(RPPAL)
    assert "registers of the Raspberry Pi 4" in sh("/share/callbox check --config /share/door.toml")
    door.start()
    status = door.status()
    assert status["gpio_backend"] == "rppal" and not any(button.get("fault") for button in status["buttons"]), status
    # Its register file reads as low, so both buttons are down at the start. That must not count as a press.
    door.press(17, "bell")
    until("its release", 5, lambda: not door.button("bell")["active"])
    assert door.presses() == 0
    door.press(17, "bell")
    until("the call", 20, lambda: talking(door.status()))
    door.signal("TERM")
    until("the end", 5, lambda: sh("test -d /proc/$(cat /tmp/door.pid); echo $?").strip() == "1")
    step("rppal: a press calls, by the kernel's edges")
    print("device raspberry test passed")


if __name__ == "__main__":
    main(sys.argv[1])
