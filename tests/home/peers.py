"""What the tests with systems of the house share: a station, a broker, and waiting for what must become true."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

TOKEN = "0123456789abcdef0123456789abcdef"


def until(what, check, seconds=20):
    """Waits until `check` returns something true, and returns that."""
    end, last = time.monotonic() + seconds, None
    while True:
        try:
            value = check()
            if value:
                return value
        except (OSError, ValueError, KeyError, IndexError, AssertionError) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for: {what} ({last})")
        time.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def step(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Process:
    """A program whose output goes to a file."""

    def __init__(self, command, log, **options):
        self.log = pathlib.Path(log)
        with open(log, "a", encoding="utf-8") as file:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, **options)

    def stop(self, number=signal.SIGTERM):
        if self.child.poll() is None:
            self.child.send_signal(number)
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()

    def pause(self):
        self.child.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.child.send_signal(signal.SIGCONT)


class House:
    """A folder with what a test starts; all of it ends with the test."""

    def __init__(self, callbox):
        self.callbox = os.path.abspath(callbox)
        self.stack = contextlib.ExitStack()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="callbox-home-"))
        self.folder.chmod(0o755)
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.socket = self.folder / "control.sock"
        self.environment = dict(os.environ)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0]:
            for log in sorted(self.folder.glob("*.log")):
                print(f"---- {log.name}\n{log.read_text(errors='replace')[-4000:]}", flush=True)
        self.stack.close()

    def file(self, name, text, mode=0o600):
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def process(self, command, name, **options):
        options.setdefault("env", self.environment)
        process = Process([str(part) for part in command], self.folder / f"{name}.log", **options)
        self.stack.callback(process.stop)
        return process

    def station(self, configuration, name="station", card=False):
        """A sandbox with a station of this configuration, and the built-in microphone unless it has a card."""
        self.file("token", f"home {TOKEN}\n")
        config = self.file(f"{name}.toml", configuration)
        command = [self.callbox, "sandbox", "--listen", "127.0.0.1:0", "--config", config, "--socket", self.socket]
        process = self.process(command if card else [*command, "--no-sound-card"], name)
        until("the station to be registered", lambda: self.status()["session"]["state"] == "registered")
        return process

    def command(self, *arguments, code=0):
        done = subprocess.run(
            [self.callbox, *arguments, "--socket", str(self.socket)], capture_output=True, text=True, timeout=20
        )
        assert done.returncode == code, f"{arguments}: {done.returncode} {done.stderr}"
        return done.stdout

    def status(self):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.socket))
            connection.sendall(b'{"request":"status"}\n')
            return json.loads(connection.makefile().readline())["status"]

    def follow(self):
        """Every event from now on, in a list that grows."""
        return Followed(self)

    def certificates(self):
        """A CA and a certificate for localhost, for a broker or a receiver."""
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", "ca-key.pem", "-out", "ca.pem",
                "-subj", "/CN=house CA", "-addext", "basicConstraints=critical,CA:TRUE")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=localhost")
        self.file("names.txt", "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial",
                "-days", "30", "-out", "cert.pem", "-extfile", "names.txt")
        for name in ["ca.pem", "cert.pem", "key.pem"]:
            (self.folder / name).chmod(0o644)


class Followed:
    """The events of a station since this was made."""

    def __init__(self, house):
        self.path = house.folder / f"events-{time.monotonic_ns()}"
        self.file = open(self.path, "w", encoding="utf-8")
        self.child = subprocess.Popen(
            [house.callbox, "events", "--json", "--socket", str(house.socket)], stdout=self.file, stderr=self.file
        )
        house.stack.callback(self.stop)
        time.sleep(0.5)

    def all(self, kind):
        lines = [json.loads(line) for line in self.path.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if line["event"] == kind]

    def stop(self):
        self.child.kill()
        self.child.wait()
        self.file.close()


class Broker:
    """Debian's mosquitto: TLS, a password for each user, an ACL, and retained messages that outlive it."""

    USERS = {"station": "station-password", "home": "home-password"}

    def __init__(self, house, acl=None):
        self.house, self.port = house, free_port()
        passwords = house.file("passwords", "", 0o644)
        for user, password in self.USERS.items():
            subprocess.run(["mosquitto_passwd", "-b", passwords, user, password], check=True)
        passwords.chmod(0o644)
        house.file("acl", acl or self.acl("station"), 0o644)
        data = house.folder / "mosquitto"
        data.mkdir()
        data.chmod(0o777)
        house.file("mosquitto.conf", f"""
listener {self.port} 127.0.0.1
cafile {house.folder}/ca.pem
certfile {house.folder}/cert.pem
keyfile {house.folder}/key.pem
allow_anonymous false
password_file {passwords}
acl_file {house.folder}/acl
persistence true
persistence_location {data}/
autosave_on_changes true
autosave_interval 1
""", 0o644)
        self.start()

    @staticmethod
    def acl(user):
        """The station reads and writes its own topics alone, and announces itself."""
        return f"""
user {user}
topic readwrite callbox/front/#
topic write homeassistant/+/front/#
topic read homeassistant/status
user home
topic readwrite #
"""

    def start(self):
        self.process = self.house.process(["mosquitto", "-v", "-c", self.house.folder / "mosquitto.conf"], "mosquitto")
        until("the broker", lambda: socket.create_connection(("127.0.0.1", self.port), 1).close() or True)

    def stop(self):
        self.process.stop()

    def client(self, program, *arguments):
        return [program, "-h", "localhost", "-p", str(self.port), "--cafile", str(self.house.folder / "ca.pem"),
                "-u", "home", "-P", self.USERS["home"], *arguments]

    def publish(self, topic, message, *options):
        file = self.house.file("message", message)
        what = ["-f", str(file)] if message else ["-n"]
        subprocess.run(self.client("mosquitto_pub", "-q", "1", "-t", topic, *what, *options), check=True, timeout=10)

    def read(self, topic, count=1, seconds=5):
        """So many messages of a topic, retained ones first."""
        done = subprocess.run(
            self.client("mosquitto_sub", "-v", "-t", topic, "-C", str(count), "-W", str(seconds)),
            capture_output=True, text=True, timeout=seconds + 10,
        )
        return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)

    def configuration(self):
        """The lines of [control] with which a station reaches this broker."""
        self.house.file("mqtt-password", self.USERS["station"] + "\n")
        return (f'mqtt_url = "mqtts://localhost:{self.port}"\nmqtt_user = "station"\n'
                f'mqtt_password_file = "mqtt-password"\nmqtt_ca_file = "ca.pem"\n')


class Stuck:
    """Takes connections, says what it is told to, and never ends an answer."""

    def __init__(self, house, says=b""):
        self.says, self.count, self.held = says, 0, []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()
        house.stack.callback(self.server.close)

    def serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.held.append(connection)
            if self.says:
                connection.recv(65536)
                connection.sendall(self.says)
            self.count += 1


def anonymous_mb(process):
    """The memory that a program has allocated: what is shared and the rings of the test card do not count."""
    text = pathlib.Path(f"/proc/{process.child.pid}/smaps_rollup").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("Anonymous:")).split()[1]) / 1024


def request(url, body=None, token=None, timeout=10):
    """The status and the JSON of an answer over HTTP."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=timeout) as answer:
            text = answer.read().decode()
            return answer.status, json.loads(text) if text[:1] in "{[" else text
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


# The station of these tests, without its [control].
STATION = """
[core]
url = "https://core.example.com"
token = "t"
identifier = "front"
[gpio]
backend = "simulated"
[[button]]
name = "bell"
pin = 1
press = { call = "100" }
[[sensor]]
name = "leaf"
pin = 2
[[sensor]]
name = "hall"
pin = 3
device_class = "motion"
[[output]]
name = "strike"
pin = 4
kind = "relay"
pulse_ms = 500
[[output]]
name = "light"
pin = 5
kind = "relay"
momentary = false
max_on_ms = 60000
[[door]]
name = "entrance"
contact = "leaf"
opened_by = ["strike"]
grace_s = 1
[modes]
away = {}
[control]
"""
