"""Helpers for a station in the device: the server, a phone that stands in for the web phone, and questions to them."""
import array
import json
import math
import subprocess
import time
import wave



def core(login):
    """The keys of [core] for the server of the device."""
    return f"""url = "http://127.0.0.1:8642"
allow_insecure = true
login = "{login}"
password_file = "/share/password"
"""


def head(login, audio):
    """The beginning of a configuration: the server of the device, and these keys of [audio]."""
    return f"""
[core]
{core(login)}
[media]
bind = ["127.0.0.1"]

[audio]
{audio}
"""


# One side of the first loopback card.
LOOPBACK = """capture = "hw:Loopback,1,0"
playback = "hw:Loopback,0,1"
"""


def phone(login):
    """A phone answers by itself, and does what commands ask for."""
    return head(login, 'capture = "hw:Loopback,1,4"\nplayback = "hw:Loopback,0,5"') + """
[gpio]
backend = "simulated"

[[answer]]
action = "answer"
after_ms = 300

[control]
socket = "/tmp/phone.sock"
"""



# linux/input-event-codes.h: the digits above the letters, those of a number pad, and Enter of each.
ROW = dict(zip("1234567890", range(2, 12)), **{"\n": 28})
PAD = {**dict(zip("789", (71, 72, 73))), **dict(zip("456", (75, 76, 77))), **dict(zip("1230", (79, 80, 81, 82))), "\n": 96}

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
    (share / "password").chmod(0o600)
    (share / "phone.toml").write_text(phone("100"))


def start_server(device, options=""):
    """The server. `options` are further ones of `callbox sandbox`."""
    device.sh("ip link set lo up")
    device.sh(f"XDG_RUNTIME_DIR=/tmp/server /share/callbox sandbox --no-station --listen 127.0.0.1:8642 --data /tmp/data {options} > /tmp/server.log 2>&1 &")
    until("the server", 30, lambda: device.sh("grep -c 8642 /tmp/server.log", check=False).strip() not in ("", "0"))


def start_phone(device, login=None):
    """A phone that answers by itself. With a `login` it takes the place of the one before."""
    if login:
        device.sh("kill $(cat /tmp/phone.pid) 2>/dev/null; sleep 1", check=False)
        (device.share / "phone.toml").write_text(phone(login))
    device.sh("/share/callbox run --config /share/phone.toml > /tmp/phone.log 2>&1 & echo $! > /tmp/phone.pid")
    registered = lambda: (s := status(device, "/tmp/phone.sock")) and s["session"]["state"] == "registered"
    until("the phone's registration", 30, registered)


class Station:
    """A station with the configuration /share/NAME.toml and the control socket /tmp/NAME.sock."""

    def __init__(self, device, chip, name):
        self.device, self.chip, self.name, self.socket = device, chip, name, f"/tmp/{name}.sock"

    def start(self):
        # Stop and start must not share the events of the process before.
        self.device.sh(f"mkdir -p /tmp/{self.name}.state; RUNTIME_DIRECTORY=/run STATE_DIRECTORY=/tmp/{self.name}.state /share/callbox run --config /share/{self.name}.toml >> /tmp/{self.name}.log 2>&1 & echo $! > /tmp/{self.name}.pid")
        until("registration", 30, lambda: (s := self.status()) and s["session"]["state"] == "registered")
        self.device.sh(f"/share/callbox events --json --socket {self.socket} >> /tmp/{self.name}.events 2>&1 &")

    def kill(self, signal=9):
        self.device.sh(f"kill -{signal} $(cat /tmp/{self.name}.pid)")

    def status(self):
        return status(self.device, self.socket)

    def command(self, words):
        return self.device.sh(f"/share/callbox {words} --socket {self.socket}")

    def reader(self, name):
        return next(reader for reader in self.status()["readers"] if reader["name"] == name)

    def door(self):
        return self.status()["doors"][0]

    def events(self, kind):
        lines = self.device.sh(f"cat /tmp/{self.name}.events").splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in events if event["event"] == kind]

    def press(self, pin, name, seconds=0):
        """Presses a button, which is active when its pin is low."""
        self.chip.set(pin, 0)
        down = lambda: next(one for one in self.status()["buttons"] if one["name"] == name)["active"]
        until(f"the button {name}", 5, down)
        time.sleep(seconds)
        self.chip.set(pin, 1)

    def opens(self, pin=23):
        """Whether this relay goes on within a second."""
        for _ in range(10):
            if self.chip.get(pin):
                return True
            time.sleep(0.1)
        return False


class Pad:
    """A reader that is plugged in."""

    def __init__(self, device, name, vendor, product, keys):
        self.device, self.keys, self.fifo = device, keys, f"/tmp/{product}.keys"
        device.sh(f"rm -f {self.fifo}; mkfifo {self.fifo}")
        # The shell that holds the fifo open keeps the device plugged in.
        device.sh(f"(exec 3<>{self.fifo}; exec /share/keypad '{name}' {vendor} {product} <{self.fifo}) >/tmp/keypad.log 2>&1 & echo $! > {self.fifo}.pid")

    def type(self, text):
        self.codes(" ".join(str(self.keys[character]) for character in text))

    def codes(self, codes):
        self.device.sh(f"echo {codes} > {self.fifo}; sleep 0.3")

    def unplug(self):
        self.device.sh(f"kill $(cat {self.fifo}.pid)")


def write_tone(path, seconds):
    """A tone as a prompt."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        samples = range(int(16000 * seconds))
        tone = array.array("h", (int(9000 * math.sin(index * 2 * math.pi * 700 / 16000)) for index in samples))
        file.writeframes(tone.tobytes())


def write_code(callbox, path, code):
    """The file of a code, as `callbox code hash` prints it."""
    hashed = subprocess.run([callbox, "code", "hash"], input=f"{code}\n", text=True, capture_output=True, check=True)
    path.write_text(hashed.stdout)
    path.chmod(0o600)
