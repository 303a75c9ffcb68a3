"""Helpers for a station in the device: the server, a phone that stands in for the web phone, and questions to them."""
import json
import time

# The phone answers by itself, and does what commands ask for.
PHONE = """
[core]
url = "http://127.0.0.1:8642"
allow_insecure = true
login = "100"
password_file = "/share/password"

[media]
bind = ["127.0.0.1"]

[audio]
capture = "hw:Loopback,1,4"
playback = "hw:Loopback,0,5"

[gpio]
backend = "simulated"

[[answer]]
action = "answer"
after_ms = 300

[control]
socket = "/tmp/phone.sock"
"""


# On a machine that is busy with something else, everything takes longer. So every wait may last this many times longer,
# which costs time only if what is waited for never comes.
PATIENCE = 6


def slack():
    """How much longer this machine takes now than an idle one. Limits are multiplied by this."""
    # docs/workarounds.md, "tests: user-mode linux ticks every ten milliseconds".
    began, used = time.monotonic(), time.process_time()
    while time.process_time() - used < 0.1:
        pass
    stretched = (time.monotonic() - began) / 0.1
    # The kernel, its console and the daemon share the remaining time.
    return 1.0 if stretched < 1.2 else 2 * stretched


def step(text):
    print(f"  {text}", flush=True)


def until(what, seconds, look):
    """Waits until `look` returns something true. Returns that, and how long it took."""
    start = time.monotonic()
    while time.monotonic() - start < seconds * PATIENCE:
        found = look()
        if found:
            return found, time.monotonic() - start
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds * PATIENCE} s for: {what}")


def status(device, socket):
    text = device.sh(f"/share/callbox status --json --socket {socket}", check=False)
    try:
        return json.loads(text)
    except ValueError:
        return None


def call_state(status):
    """The state of the first call that is not idle."""
    lines = (status or {}).get("lines", [])
    return next((line["state"] for line in lines if line["state"] != "idle"), "idle")


def talking(status):
    lines = (status or {}).get("lines", [])
    return any(line["state"] == "established" and line["call"]["media_connected"] for line in lines)


def write_share(share):
    (share / "password").write_text("callbox\n")
    (share / "phone.toml").write_text(PHONE)


def start_server(device):
    """The server, and a phone that answers by itself."""
    device.sh("ip link set lo up")
    device.sh("XDG_RUNTIME_DIR=/tmp/server /share/callbox sandbox --no-station --listen 127.0.0.1:8642 --data /tmp/data > /tmp/server.log 2>&1 &")
    until("the server", 30, lambda: device.sh("grep -c 8642 /tmp/server.log", check=False).strip() not in ("", "0"))


def start_phone(device):
    device.sh("/share/callbox run --config /share/phone.toml > /tmp/phone.log 2>&1 &")
    registered = lambda: (s := status(device, "/tmp/phone.sock")) and s["session"]["state"] == "registered"
    until("the phone's registration", 30, registered)
