"""A call through a bad network, on a machine with a kernel and a network of its own.

    python3 network.py CALLBOX

The server (callbox sandbox, with a station that answers by itself) and the station under test live in
two network namespaces of the device, joined by a veth pair with 10 % loss and 200 ms delay each way. During
the call the station's address disappears and another one comes. Then the session must come back, and the call
must have its sound again, in both directions.
"""
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

from device import Device
from station import until

CACHE = os.environ.get("DEVICE_CACHE", os.path.expanduser("~/.cache/callbox-device"))
NETEM = "loss 10% delay 200ms"

ACCOUNTS = "".join(f'[[account]]\nnumber = "{n}"\nname = "{n}"\npassword = "a long password"\n' for n in ("100", "door"))
STATION = """
[core]
url = "https://10.9.0.1:8443"
ca_file = "/tmp/data/ca.pem"
login = "100"
password_file = "/share/password"

[audio]
capture = "hw:Loopback,1,0"
playback = "hw:Loopback,0,1"

[control]
socket = "/tmp/station.sock"
"""


def main(callbox):
    with tempfile.TemporaryDirectory() as folder:
        share = pathlib.Path(folder)
        shutil.copy(callbox, share / "callbox")
        (share / "accounts.toml").write_text(ACCOUNTS)
        (share / "password").write_text("a long password\n")
        (share / "station.toml").write_text(STATION)
        with Device(CACHE, share) as device:
            try:
                run(device)
            except AssertionError:
                print(json.dumps(status(device, "/tmp/station.sock")))
                for log in ("server", "station"):
                    print(f"--- {log}\n" + device.sh(f"tail -40 /tmp/{log}.log", check=False))
                raise


def status(device, socket):
    text = device.sh(f"/share/callbox status --json --socket {socket}", check=False)
    try:
        return json.loads(text)
    except ValueError:
        return None


def run(device):
    sh = device.sh
    sh("ip netns add server && ip link add server0 type veth peer name st0 && ip link set server0 netns server")
    sh("ip -n server addr add 10.9.0.1/24 dev server0 && ip -n server link set server0 up"
       " && ip -n server link set lo up")
    sh("ip addr add 10.9.0.2/24 dev st0 && ip link set st0 up && ip link set lo up")
    sh("RUST_BACKTRACE=1 XDG_RUNTIME_DIR=/run ip netns exec server /share/callbox sandbox --listen 10.9.0.1:8443 "
       "--accounts /share/accounts.toml --data /tmp/data --no-sound-card > /tmp/server.log 2>&1 &")
    until("the server", 30, lambda: sh("grep -c SHA-256 /tmp/server.log", check=False).strip() != "0")
    # What the microphone hears. The first program that opens the card decides the number of channels
    # (docs/workarounds.md, "tests: snd-aloop takes the format of its first user").
    sh("speaker-test -D hw:Loopback,0,0 -c 2 -r 48000 -F S16_LE -t sine -f 440 > /dev/null 2>&1 &")
    playing = lambda: "owner_pid" in sh("cat /proc/asound/Loopback/pcm0p/sub0/status", check=False)
    until("the sound at the microphone", 20, playing)
    sh("RUST_BACKTRACE=1 RUNTIME_DIRECTORY=/run /share/callbox run --config /share/station.toml > /tmp/station.log 2>&1 &")
    station = lambda: status(device, "/tmp/station.sock")
    door = lambda: status(device, "/run/callbox/control.sock")
    registered = lambda: (s := station()) and s["session"]["state"] == "registered" and s
    until("registration", 30, registered)

    sh(f"tc qdisc add dev st0 root netem {NETEM}")
    sh(f"ip netns exec server tc qdisc add dev server0 root netem {NETEM}")
    sh("/share/callbox call door --socket /tmp/station.sock")

    def talking():
        lines = (station() or {}).get("lines", [])
        return any(line["state"] == "established" and line["call"]["media_connected"] for line in lines)

    def sounds(of):
        s = of()
        return s and s["sound"]["loudspeaker_dbfs"] > -50

    _, took = until("the call", 40, talking)
    print(f"a call through {NETEM}: up with media after {took:.1f} s")
    until("the station hears the door", 20, lambda: sounds(station))
    until("the door hears the station", 20, lambda: sounds(door))

    def call_id():
        return next(line["call"]["call_id"] for line in station()["lines"] if line.get("call"))

    call = call_id()
    sessions = station()["session"]["counters"]["sessions"]
    sh("ip addr del 10.9.0.2/24 dev st0 && ip addr add 10.9.0.3/24 dev st0")
    back = lambda: (s := registered()) and s["session"]["counters"]["sessions"] > sessions
    _, session = until("the session under the new address", 30, back)
    _, media = until("media under the new address", 40, talking)
    print(f"another address in mid-call: the session is back after {session:.1f} s, media {media:.1f} s later")
    time.sleep(3)
    assert talking() and call_id() == call, "the same call is still up"
    until("the station hears the door again", 20, lambda: sounds(station))
    until("the door hears the station again", 20, lambda: sounds(door))
    steps = sh("grep -o 'media repair, .*' /tmp/station.log", check=False)
    print("repairs:", steps.replace("\n", "; "))
    sh("/share/callbox hangup --socket /tmp/station.sock")
    until("the end", 20, lambda: all(line["state"] == "idle" for line in station()["lines"]))
    print("device network test passed")


if __name__ == "__main__":
    main(sys.argv[1])
