#!/usr/bin/env python3
"""The stories of docs/examples, played on the kernel's own devices.

    python3 examples.py CALLBOX KEYPAD

KEYPAD is keypad.c, compiled. Each example is used as it is. Only its server, its sound card and its GPIO chip are those of
the device, where it is Monday morning.
"""
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

from device import Device
from station import LOOPBACK, PAD, ROW, Pad, Station, call_state, core, start_phone, start_server, step, talking, until, write_code, write_share, write_tone

CACHE = os.environ.get("DEVICE_CACHE", os.path.expanduser("~/.cache/callbox-device"))
EXAMPLES = pathlib.Path(__file__).parents[2] / "docs" / "examples"
STATION = "200"
# The numbers of people in the stories who have a telephone.
PHONES = ["100", "101", "110", "700"]
CODES = {"code-family": "123456", "code-cleaner": "654321", "card-101": "0012345678", "code-post": "112233"}
MACHINE = """
[media]
bind = ["127.0.0.1"]

[gpio]
chip = "{name}"

[control]
socket = "/tmp/{name}.sock"
"""


def of_this_machine(name, text):
    """The example with the server, the card and the chip of the device."""
    text, servers = re.subn(r'url = "https://core.example.com"\ntoken_file = "secrets/token"\n', core(STATION), text)
    assert servers == 1, f"{name} has another [core]"
    text, cards = re.subn(r"\[audio\]\n", "[audio]\n" + LOOPBACK, text)
    return text + ("" if cards else "\n[audio]\n" + LOOPBACK) + MACHINE.format(name=name)


def write_example(share, callbox, name):
    text = (EXAMPLES / f"{name}.toml").read_text()
    (share / f"{name}.toml").write_text(of_this_machine(name, text))
    for prompt in re.findall(r'"(prompts/[a-z0-9-]+\.wav)"', text):
        (share / prompt).parent.mkdir(exist_ok=True)
        write_tone(share / prompt, 1)
    for code in re.findall(r'"(secrets/c[a-z0-9-]+)"', text):
        (share / code).parent.mkdir(exist_ok=True)
        write_code(callbox, share / code, CODES[pathlib.Path(code).name])


def example(device, name, phone, outputs):
    """The station of an example, and the telephone of somebody in its story. Inputs are at rest."""
    text = (EXAMPLES / f"{name}.toml").read_text()
    pins = [int(pin) for pin in re.findall(r"^pin = (\d+)$", text, re.MULTILINE)]
    chip = device.gpio_chip(name, {pin: f"{name}{pin}" for pin in pins})
    # Sensors of the examples are active when their pin is high, and buttons when it is low.
    active_high = {int(pin) for pin in re.findall(r'^pin = (\d+)\nactive = "high"$', text, re.MULTILINE)}
    for pin in pins:
        if pin not in outputs:
            chip.set(pin, 1)
    start_phone(device, phone)
    checked = device.sh(f"/share/callbox check --config /share/{name}.toml 2>&1")
    assert "valid" in checked and "warning" not in checked, checked
    station = Station(device, chip, name)
    station.start()
    # The simulated chip takes the daemon's pull-up as a level, so contacts to ground are closed now.
    for pin in active_high:
        if pin not in outputs:
            chip.set(pin, 0)
    at_rest = lambda: all(door["state"] == "closed" for door in station.status().get("doors", []))
    until("doors that are closed", 10, at_rest)
    return station


def phone(device, words):
    device.sh(f"/share/callbox {words} --socket /tmp/phone.sock")


def hang_up(device, station):
    phone(device, "hangup")
    until("the end of the call", 10, lambda: call_state(station.status()) == "idle")


def told(station, kind, **fields):
    """Waits for an event with these fields."""
    matches = lambda event: all(event.get(key) == value for key, value in fields.items())
    until(f"the event {kind} {fields}", 15, lambda: any(matches(event) for event in station.events(kind)))


def mode(station, name):
    return next(mode for mode in station.status()["modes"] if mode["name"] == name)["on"]


def villa(device):
    station = example(device, "villa", "100", {23, 24})
    family = Pad(device, "Number Pad", "1c4f", "0002", PAD)
    until("the keypad", 10, lambda: "fault" not in station.reader("keypad"))
    station.press(17, "bell")
    until("the call", 20, lambda: talking(station.status()))
    phone(device, "dtmf 4711")
    assert station.opens(), "the resident opens"
    hang_up(device, station)
    station.press(19, "garage", seconds=1.2)
    until("away", 5, lambda: mode(station, "away"))
    family.type(CODES["code-family"] + "\n")
    assert station.opens(), "the code opens"
    until("the end of away", 5, lambda: not mode(station, "away"))
    until("the strike's end", 10, lambda: not station.chip.get(23))
    time.sleep(6)
    station.chip.set(27, 1)
    until("the broken door", 5, lambda: station.door()["state"] == "forced")
    told(station, "custom", text="the front door was forced")
    until("the call of the door", 20, lambda: talking(station.status()))
    hang_up(device, station)
    family.unplug()
    station.kill(15)
    step("villa: bell, resident's code, away by the garage's button, family's code, a forced door")


def flats(device):
    station = example(device, "flats", "101", {23})
    keypad = Pad(device, "Number Pad", "1c4f", "0002", PAD)
    cards = Pad(device, "Card Reader", "ffff", "0035", ROW)
    for reader in ("keypad", "cards"):
        until(reader, 10, lambda: "fault" not in station.reader(reader))
    keypad.type("101\n")
    until("the call of the flat", 20, lambda: talking(station.status()))
    phone(device, "dtmf 5555")
    assert station.opens(), "the resident opens"
    hang_up(device, station)
    until("the strike's end", 10, lambda: not station.chip.get(23))
    cards.type(CODES["card-101"] + "\n")
    assert station.opens(), "the card opens"
    station.press(17, "bell")
    told(station, "play", sound="how_to_call")
    until("the strike's end", 10, lambda: not station.chip.get(23))
    time.sleep(6)
    station.chip.set(27, 1)
    until("the guard's alarm", 10, lambda: station.status().get("alarms"))
    station.command("alarm end")
    until("its end", 10, lambda: not station.status().get("alarms"))
    for pad in (keypad, cards):
        pad.unplug()
    station.kill(15)
    step("flats: a flat by keypad, its resident's code, a card, the bell while the concierge is out, a forced door")


def lift(device):
    station = example(device, "lift", "110", {23, 24, 25})
    station.press(5, "help", seconds=0.7)
    until("the yellow lamp", 5, lambda: station.chip.get(23))
    until("the service", 20, lambda: talking(station.status()))
    assert station.chip.get(24) == 0, "nobody has confirmed yet"
    phone(device, "dtmf 1")
    until("the green lamp", 10, lambda: station.chip.get(24))
    told(station, "play", sound="help_comes")
    hang_up(device, station)
    assert station.status()["alarms"][0]["state"] == "answered", "the alarm lasts until the service ends it"
    phone(device, f"call {STATION}")
    until("the service's call", 20, lambda: talking(station.status()))
    phone(device, "dtmf 9900#")
    until("the end of the alarm", 10, lambda: not station.status().get("alarms"))
    until("the lamps", 5, lambda: not station.chip.get(23) and not station.chip.get(24))
    hang_up(device, station)
    station.kill(15)
    step("lift: help, the service confirms, calls back, and ends the alarm")


def kiosk(device):
    station = example(device, "kiosk", "700", {23, 24})
    station.chip.set(22, 1)
    told(station, "play", sound="greeting")
    station.chip.set(22, 0)
    station.press(17, "hotline")
    until("the hotline", 20, lambda: talking(station.status()))
    hang_up(device, station)
    phone(device, f"call {STATION}")
    until("the hotline's call", 20, lambda: talking(station.status()))
    phone(device, "dtmf 6060")
    assert station.opens(), "the hatch opens"
    phone(device, "dtmf 6161")
    told(station, "play", sound="delay", to="both")
    hang_up(device, station)
    station.kill(15)
    step("kiosk: a greeting, the hotline answers, calls back, opens, and announces")


def main(callbox, keypad):
    with tempfile.TemporaryDirectory() as folder:
        share = pathlib.Path(folder)
        shutil.copy(callbox, share / "callbox")
        shutil.copy(keypad, share / "keypad")
        write_share(share)
        accounts = [f'[[account]]\nnumber = "{number}"\nname = "{number}"\npassword = "callbox"\n' for number in [STATION, *PHONES]]
        (share / "accounts.toml").write_text("\n".join(accounts))
        for name in ("villa", "flats", "lift", "kiosk"):
            write_example(share, callbox, name)
        with Device(CACHE, share) as device:
            try:
                # A Monday in service hours, when the concierge is there.
                device.sh("date -s '2026-11-30 09:00'")
                start_server(device, "--accounts /share/accounts.toml")
                for story in (villa, flats, lift, kiosk):
                    story(device)
            except (AssertionError, RuntimeError):
                for log in ("server", "phone", "villa", "flats", "lift", "kiosk", "keypad"):
                    print(f"--- {log}\n" + device.sh(f"tail -40 /tmp/{log}.log", check=False))
                raise
    print("device examples test passed")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
