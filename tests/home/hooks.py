"""Hooks at a receiver that is slow, wrong, leads elsewhere, or never answers.

    hooks.py CALLBOX
"""
import hashlib
import hmac
import http.server
import json
import ssl
import subprocess
import sys
import threading
import time

from peers import House, Stuck, free_port, step, until

SECRET = "0123456789abcdef"
# An answer that begins well, and never ends.
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx"

# The daemon itself, whose server is not there: hooks do not depend on it.
STATION = """
[core]
url = "http://127.0.0.1:9"
allow_insecure = true
token = "t"
ca_file = "ca.pem"
[gpio]
backend = "simulated"
[[button]]
name = "bell"
pin = 1
press = { hook = "visitor" }
[[output]]
name = "strike"
pin = 2
kind = "relay"
[modes]
away = {}
[control]
socket = "control.sock"
"""


class Receiver:
    """Takes requests, and answers as it is told."""

    def __init__(self, house, tls=False):
        self.requests, self.answer, self.wait = [], 200, 0.0
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((time.monotonic(), self.path, dict(self.headers), body))
                time.sleep(receiver.wait)
                self.send_response(receiver.answer)
                if receiver.answer == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(house.folder / "cert.pem", house.folder / "key.pem")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        house.stack.callback(self.server.shutdown)

    def events(self):
        return [json.loads(body)["event"] for _, _, _, body in self.requests]


def hook(url, *events, secret=True):
    on = ", ".join(f'"{event}"' for event in events)
    return f'[[hook]]\non = [{on}]\nurl = "{url}"\n' + ('secret_file = "secret"\n' if secret else "")


def fault(house):
    return house.status()["hooks"]["fault"]


def signed(headers, body):
    """Whether a request is the station's, and of now."""
    parts = dict(part.split("=", 1) for part in headers["X-Callbox-Signature"].split(","))
    expected = hmac.new(SECRET.encode(), f"{parts['t']}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(parts["v1"], expected) and abs(time.time() - int(parts["t"])) < 30


def delivers(house, secure, plain):
    step("what a hook is for arrives, signed, in order, as callbox events prints it; nothing else arrives")
    house.command("press", "bell")
    house.command("mode", "away", "on")
    house.command("output", "strike", "pulse")
    until("the requests", lambda: len(secure.requests) >= 2)
    assert secure.events() == ["press", "custom"], secure.events()
    for _, path, headers, body in secure.requests:
        assert path == "/hook?station=front" and signed(headers, body), (path, headers)
        assert headers["Content-Type"] == "application/json"
    assert json.loads(secure.requests[0][3])["by"]["kind"] == "user"
    until("the mode", lambda: plain.events() == ["mode"])
    assert "X-Callbox-Signature" not in plain.requests[0][2]


def fails(house, receiver):
    for answer in [500, 404, 302]:
        step(f"a receiver that answers {answer} is tried three times, and the fault is told once")
        before, given_up = len(receiver.requests), house.status()["hooks"].get("given_up", 0)
        events = house.follow()
        receiver.answer = answer
        house.command("mode", "away", "toggle")
        until("the fault", lambda: str(answer) in (fault(house) or ""), 30)
        assert len(receiver.requests) == before + 3, len(receiver.requests) - before
        assert all(path != "/elsewhere" for _, path, _, _ in receiver.requests), "a redirect is followed"
        first, second, third = [at for at, *_ in receiver.requests[-3:]]
        assert third - second > second - first > 0.4, (first, second, third)
        house.command("mode", "away", "toggle")
        until("the next one", lambda: house.status()["hooks"]["given_up"] == given_up + 2, 30)
        assert len(events.all("interface")) == 1, events.all("interface")
        receiver.answer = 200
        house.command("mode", "away", "toggle")
        until("the end of the fault", lambda: fault(house) is None, 30)
        events.stop()


def tested(house, secure, plain):
    step("callbox hooks test says what each receiver answers")
    count = len(secure.requests)
    done = subprocess.run([house.callbox, "hooks", "test", "--config", house.folder / "station.toml"],
                          capture_output=True, text=True, timeout=40)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "hook[0] to localhost: it answers 200 OK in " in done.stdout, done.stdout
    assert json.loads(secure.requests[count][3])["text"] == "callbox hooks test"
    plain.answer = 403
    done = subprocess.run([house.callbox, "hooks", "test", "--config", house.folder / "station.toml"],
                          capture_output=True, text=True, timeout=40)
    assert done.returncode == 1 and "hook[1] to 127.0.0.1: it answers 403 Forbidden" in done.stderr, done
    plain.answer = 200


def slow(house, receiver, other):
    step("a receiver that never answers holds nothing up, and 64 requests wait at most")
    receiver.wait, before = 60.0, len(receiver.requests)
    for _ in range(80):
        house.command("mode", "away", "toggle")
    until("the fault", lambda: "slower" in (fault(house) or ""))
    assert house.status()["hooks"]["given_up"] >= 14, house.status()["hooks"]
    count = len(other.requests)
    house.command("press", "bell")
    until("the other hook", lambda: len(other.requests) >= count + 2)
    until("three tries", lambda: len(receiver.requests) >= before + 3, 40)
    assert {json.loads(body)["at_ms"] for _, _, _, body in receiver.requests[before:before + 3]}.__len__() == 1


def main():
    with House(sys.argv[1]) as house:
        house.certificates()
        house.file("secret", SECRET + "\n")
        secure, plain, endless = Receiver(house, tls=True), Receiver(house), Stuck(house, ENDLESS)
        house.file("station.toml", STATION + hook(f"https://localhost:{secure.port}/hook?station=front", "press", "custom")
                   + hook(f"http://127.0.0.1:{plain.port}/", "mode", secret=False)
                   + hook(f"http://127.0.0.1:{endless.port}/", "press"))
        house.process([house.callbox, "run", "--config", house.folder / "station.toml"], "station")
        until("the station", lambda: house.status()["hooks"]["ready"])
        delivers(house, secure, plain)
        until("the other receiver", lambda: endless.count == 1)
        tested(house, secure, plain)
        fails(house, plain)
        slow(house, plain, secure)
        assert endless.count == 4, f"{endless.count}: a status of 200 has decided"
    step("hooks: all passed")


main()
