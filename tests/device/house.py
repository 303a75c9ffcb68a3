"""The rest of the door on the kernel's own devices: a watched door, a keypad and cards by evdev, prompts, an alarm.

    python3 house.py CALLBOX KEYPAD

KEYPAD is keypad.c, compiled.
"""
import array
import os
import pathlib
import shutil
import sys
import tempfile
import time
import wave

from device import Device
from station import LOOPBACK, PAD, ROW, Pad, Station, call_state, head, start_phone, start_server, step, talking, until, write_code, write_share, write_tone

CACHE = os.environ.get("DEVICE_CACHE", os.path.expanduser("~/.cache/callbox-device"))
SOCKET = "/tmp/house.sock"
HOUSE = head("101", LOOPBACK) + """
[gpio]
chip = "house"

[prompts]
here_is = "here.wav"

[[button]]
name = "help"
pin = 5
press = { call = "100", ring_s = 20, alarm = true, confirm = "1", say = "here_is" }

[[button]]
name = "exit"
pin = 18

[[sensor]]
name = "contact"
pin = 27

[[output]]
name = "strike"
kind = "relay"
pin = 23
max_on_ms = 4000

[[output]]
name = "forced_lamp"
kind = "led"
pin = 24
show = { door_forced = "on" }

[[output]]
name = "alarm_lamp"
kind = "led"
pin = 25
show = { alarm = "on" }

[[door]]
name = "front"
contact = "contact"
opened_by = "strike"
exit = "exit"
grace_s = 2

[[reader]]
name = "keypad"
device = "usb:1234:5678"
kind = "keypad"
dial = ["10?"]

[[reader]]
name = "cards"
device = "Test Card Reader"
kind = "card"

[[code]]
name = "Anna"
reader = ["keypad", "cards"]
secret_file = "anna"
run = { output = "strike", pulse_ms = 2000 }

[access]
lock_s = 20

[control]
socket = "/tmp/house.sock"
"""

def write_house(share, callbox, keypad):
    shutil.copy(callbox, share / "callbox")
    shutil.copy(keypad, share / "keypad")
    write_share(share)
    (share / "house.toml").write_text(HOUSE)
    write_code(callbox, share / "anna", "4711")
    write_tone(share / "here.wav", 2)


def main(callbox, keypad):
    with tempfile.TemporaryDirectory() as folder:
        share = pathlib.Path(folder)
        write_house(share, callbox, keypad)
        with Device(CACHE, share) as device:
            try:
                run(device)
            except (AssertionError, RuntimeError):
                for log in ("server", "phone", "house", "keypad"):
                    print(f"--- {log}\n" + device.sh(f"tail -40 /tmp/{log}.log", check=False))
                raise


def run(device):
    start_server(device)
    start_phone(device)
    chip = device.gpio_chip("house", {5: "HELP", 18: "EXIT", 27: "CONTACT", 23: "STRIKE", 24: "FORCED", 25: "ALARM"})
    for pin in (5, 18, 27):
        chip.set(pin, 1)
    house = Station(device, chip, "house")
    house.start()
    readers(device, house)
    doors(house)
    prompt(device, house)
    alarm(device, house)
    print("device house test passed")


def readers(device, house):
    assert "not plugged in" in house.reader("keypad")["fault"], house.reader("keypad")
    pad = Pad(device, "Number Pad", "1234", "5678", PAD)
    _, took = until("the keypad", 10, lambda: "fault" not in house.reader("keypad"))
    assert "usb:1234:5678  /dev/input/event" in device.sh("/share/callbox devices")
    step(f"a keypad is taken up {took:.1f} s after it was plugged in")

    event = device.sh("grep -l 'Number Pad' /sys/class/input/event*/device/name").split("/")[4]
    device.sh(f"timeout 2 cat /dev/input/{event} > /tmp/heard & sleep 0.3")
    pad.type("4711\n")
    assert house.opens(), "the code opens"
    assert device.sh("sleep 2; wc -c < /tmp/heard").strip() == "0", "nobody else reads what is typed"
    by = house.events("output")[-1]["by"] if house.events("output")[-1]["drive"] == "on" else house.events("output")[-2]["by"]
    assert by == {"kind": "holder", "code": "Anna", "reader": "keypad"}, by
    step("a code on the number pad opens, with the name of its holder, and the device is grabbed")

    until("the strike's end", 5, lambda: not house.chip.get(23))
    # KEY_VOLUMEUP, KEY_SPACE, KEY_A held and repeated, then cleared by KEY_BACKSPACE.
    pad.codes("115 57 r30 14")
    pad.codes("r75 14")
    pad.type("4711\n")
    assert house.opens(), "unknown and repeated keys change nothing"
    until("the strike's end", 5, lambda: not house.chip.get(23))
    pad.type("47")
    pad.unplug()
    until("its end", 10, lambda: "fault" in house.reader("keypad"))
    pad = Pad(device, "Number Pad", "1234", "5678", PAD)
    until("the keypad again", 10, lambda: "fault" not in house.reader("keypad"))
    pad.type("11\n")
    assert not house.opens(), "half a code and half a code are none"
    step("a keypad that is unplugged in mid-code is a fault, and forgets")

    cards = Pad(device, "Test Card Reader", "0001", "0002", ROW)
    until("the card reader", 10, lambda: "fault" not in house.reader("cards"))
    cards.type("4711\n")
    assert house.opens(), "a card on the other row of digits"
    until("the strike's end", 5, lambda: not house.chip.get(23))
    step("a card reader is found by its name; keymaps do not matter")

    for _ in range(4):
        pad.type("9999\n")
        time.sleep(0.5)
    until("the lock", 5, lambda: house.reader("keypad").get("locked_s"))
    house.kill()
    house.start()
    until("the keypad", 10, lambda: "fault" not in house.reader("keypad"))
    pad.type("4711\n")
    assert not house.opens(), "the lock survives the process"
    until("its end", 30, lambda: not house.reader("keypad").get("locked_s"))
    pad.type("4711\n")
    assert house.opens()
    step("five wrong codes turn the keypad's codes off, over kill -9")

    pad.type("100\n")
    until("the call of a flat", 20, lambda: talking(house.status()))
    device.sh(f"/share/callbox hangup --socket {SOCKET}")
    until("its end", 10, lambda: call_state(house.status()) == "idle")
    step("the number of a flat is called by the keypad")


def doors(house):
    until("the strike's end", 5, lambda: not house.chip.get(23))
    time.sleep(3)
    house.chip.set(27, 0)
    until("the alarm of the door", 5, lambda: house.door()["state"] == "forced")
    assert house.chip.get(24) == 1
    house.chip.set(27, 1)
    until("its end", 5, lambda: house.door()["state"] == "closed")
    house.chip.set(18, 0)
    until("the exit button", 5, lambda: next(one for one in house.status()["buttons"] if one["name"] == "exit")["active"])
    house.chip.set(18, 1)
    house.chip.set(27, 0)
    until("the opening", 5, lambda: house.door()["state"] == "open")
    time.sleep(1)
    assert house.door()["state"] == "open", "the exit button gives a right"
    house.chip.set(27, 1)
    until("the closing", 5, lambda: house.door()["state"] == "closed")
    assert len([event for event in house.events("door") if event["state"] == "forced"]) == 1
    step("a door that nobody opened rightfully is forced, and one after the exit button is not")


def prompt(device, house):
    """The other end of the loopback card hears the loudspeaker."""
    device.sh("arecord -q -D plughw:Loopback,1,1 -f S16_LE -r 48000 -c 1 -d 5 /tmp/heard.wav 2>/tmp/arecord.log & sleep 1")
    device.sh(f"/share/callbox play here_is --socket {SOCKET}")
    device.sh("sleep 5; cp /tmp/heard.wav /share/ || (cat /tmp/arecord.log; false)")
    with wave.open(str(device.share / "heard.wav")) as file:
        samples = array.array("h", file.readframes(file.getnframes()))
    block = 480
    loud = [index for index in range(0, len(samples) - block, block) if max(map(abs, samples[index:index + block])) > 500]
    seconds = len(loud) * block / 48000
    assert 1.97 <= seconds <= 2.1, f"{seconds} s of 2 s were heard"
    step(f"a prompt of 2 s is heard whole at the loudspeaker ({seconds:.2f} s)")


def alarm(device, house):
    house.chip.set(5, 0)
    until("the button", 5, lambda: next(one for one in house.status()["buttons"] if one["name"] == "help")["active"])
    house.chip.set(5, 1)
    until("the call for help", 20, lambda: talking(house.status()))
    assert house.chip.get(25) == 1 and house.status()["alarms"][0]["state"] == "raised", house.status()["alarms"]
    house.kill()
    device.sh("rm -f /run/calls.json")
    house.start()
    until("the alarm after a power cut", 5, lambda: house.status().get("alarms"))
    assert house.status()["alarms"][0]["state"] == "raised" and house.chip.get(25) == 1
    until("its next call", 60, lambda: talking(house.status()))
    device.sh("/share/callbox dtmf 1 --socket /tmp/phone.sock")
    until("the confirmation", 10, lambda: house.status()["alarms"][0]["state"] == "answered")
    until("the lamp", 5, lambda: house.chip.get(25) == 0)
    device.sh("/share/callbox hangup --socket /tmp/phone.sock")
    until("the end of the alarm", 10, lambda: not house.status().get("alarms"))
    step("an alarm goes on over a power cut until a person has typed the digit")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
