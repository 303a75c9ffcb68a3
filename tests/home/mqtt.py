"""The station at Debian's mosquitto, with TLS, users and an ACL.

    mqtt.py CALLBOX
"""
import json
import subprocess
import sys
import threading
import time

from peers import STATION, Broker, House, step, until


def mqtt(house):
    return house.status()["mqtt"]


def ready(house):
    return until("the broker in the status", lambda: mqtt(house)["ready"] and mqtt(house))


class Messages:
    """What the broker passes on from now on."""

    def __init__(self, broker, topic):
        self.lines = []
        self.child = subprocess.Popen(
            broker.client("mosquitto_sub", "-v", "-t", topic), stdout=subprocess.PIPE, text=True
        )
        broker.house.stack.callback(self.child.kill)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        time.sleep(0.5)

    def read(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))

    def of(self, topic):
        return [line.split(" ", 1)[1] for line in self.lines if line.startswith(topic + " ")]


def states_and_presses(house, broker):
    step("states are retained, presses are not")
    told = until("all states", lambda: (s := broker.read("callbox/front/+/state", 20, 2)) and len(s) >= 11 and s)
    expected = {"connectivity": "ON", "problem": "OFF", "call_state": "idle", "leaf": "OFF", "hall": "OFF", "light": "OFF",
                "entrance": "OFF", "away": "OFF", "mute": "OFF", "last_caller": "none", "last_end": "none"}
    for name, state in expected.items():
        assert told[f"callbox/front/{name}/state"] == state, (name, told)
    assert broker.read("callbox/front/availability", 1, 2) == {"callbox/front/availability": "online"}
    messages = Messages(broker, "callbox/front/#")
    house.command("press", "bell")
    until("the ring", lambda: messages.of("callbox/front/bell/event") == ['{"event_type":"ring"}'])
    until("the call", lambda: "not_reachable" in messages.of("callbox/front/last_end/state"))
    assert not broker.read("callbox/front/+/event", 1, 1), "a press is retained"
    house.command("input", "leaf", "on")
    until("the door", lambda: messages.of("callbox/front/entrance/state")[-1] == "ON")
    until("the problem", lambda: messages.of("callbox/front/problem/state")[-1] == "ON")
    house.command("input", "leaf", "off")
    until("the end of the problem", lambda: messages.of("callbox/front/problem/state")[-1] == "OFF")


def commands(house, broker):
    step("commands are carried out, recorded as the broker's, and answered; nonsense too")
    events, answers = house.follow(), Messages(broker, "callbox/front/+/result")

    def answer(name, message, *options):
        count = len(answers.of(f"callbox/front/{name}/result"))
        broker.publish(f"callbox/front/{name}/set", message, *options)
        lines = until("an answer", lambda: answers.of(f"callbox/front/{name}/result")[count:])
        return json.loads(lines[0])

    assert answer("strike", "PRESS") == {"ok": True}
    until("the strike", lambda: [e for e in events.all("output") if e["drive"] == "on" and e["by"] == {"kind": "mqtt"}])
    until("its end", lambda: [e for e in events.all("output") if e["drive"] == "off"])
    assert answer("light", "ON") == {"ok": True}
    until("the light", lambda: broker.read("callbox/front/light/state")["callbox/front/light/state"] == "ON")
    assert answer("light", "OFF") == {"ok": True}
    assert answer("away", "TOGGLE")["ok"] and answer("volume", "40.0")["ok"] and answer("mute", "ON")["ok"]
    assert answer("mute", "OFF")["ok"]
    until("the volume", lambda: house.status()["audio"]["volume"] == 40)
    for name, message in [("strike", "OPEN"), ("nobody", "ON"), ("bell", "PRESS"), ("volume", "x" * 3000), ("strike", "")]:
        refusal = answer(name, message)
        assert not refusal["ok"] and refusal["error"]["remedy"], refusal
    assert not broker.read("callbox/front/+/result", 1, 1), "an answer is retained"
    assert len([e for e in events.all("output") if e["output"] == "strike" and e["drive"] == "on"]) == 1
    events.stop()


def away(house, broker):
    step("what was retained or queued while the broker or the station was away moves nothing")
    events = house.follow()
    broker.publish("callbox/front/light/set", "ON", "-r")
    until("the live command", lambda: len([e for e in events.all("output") if e["drive"] == "on"]) == 1)
    house.command("output", "light", "off")
    time.sleep(2)  # The broker saves what is retained.
    broker.stop()
    fault = until("the fault", lambda: mqtt(house)["fault"])
    assert f"localhost:{broker.port}" in fault and not mqtt(house)["ready"], fault
    house.command("press", "bell")
    house.command("input", "hall", "on")
    broker.start()
    messages = Messages(broker, "callbox/front/#")
    ready(house)
    until("the state of now", lambda: messages.of("callbox/front/hall/state")[-1] == "ON")
    assert messages.of("callbox/front/light/set")[-1] == "ON", "the broker has kept the command"
    time.sleep(2)
    assert not messages.of("callbox/front/bell/event"), "a ring of then is told now"
    assert len([e for e in events.all("output") if e["drive"] == "on"]) == 1, events.all("output")
    broker.publish("callbox/front/light/set", "", "-r")
    events.stop()


def stalled(house, broker):
    step("a broker that stands still costs nothing and is noticed")
    broker.process.pause()
    for index in range(200):
        house.command("volume", str(index % 100)) if index % 20 == 0 else house.command("mode", "away", "toggle")
    began = time.monotonic()
    until("the fault", lambda: mqtt(house)["fault"], 70)
    step(f"noticed after {time.monotonic() - began:.0f} s: {mqtt(house)['fault']}")
    broker.process.go_on()
    until("the broker again", lambda: mqtt(house)["ready"], 70)


def refusals(house, broker):
    step("a wrong password, a wrong CA and a wrong ACL are told with their remedy")
    house.file("mqtt-password", "wrong\n")
    broker.stop()
    broker.start()
    until("the words", lambda: "control.mqtt_password_file" in (mqtt(house)["fault"] or ""), 70)
    house.file("mqtt-password", Broker.USERS["station"] + "\n")
    until("the login", lambda: mqtt(house)["ready"], 70)
    certificate = (house.folder / "ca.pem").read_text()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "/dev/null",
                    "-out", house.folder / "ca.pem", "-subj", "/CN=another CA"], check=True, capture_output=True)
    broker.stop()
    (house.folder / "broker-ca.pem").write_text(certificate)
    configuration = house.folder / "mosquitto.conf"
    configuration.write_text(configuration.read_text().replace("/ca.pem", "/broker-ca.pem"))
    broker.process = house.process(["mosquitto", "-v", "-c", configuration], "mosquitto")
    until("the words", lambda: "control.mqtt_ca_file" in (mqtt(house)["fault"] or ""), 70)
    (house.folder / "ca.pem").write_text(certificate)
    until("the trust", lambda: mqtt(house)["ready"], 70)


def checked(house, broker):
    step("callbox mqtt check says what the broker answers, and does not disturb the station")
    messages = Messages(broker, "callbox/front/availability")

    def check(code):
        done = subprocess.run([house.callbox, "mqtt", "check", "--config", house.folder / "daemon.toml"],
                              capture_output=True, text=True, timeout=40)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    house.file("daemon.toml", STATION + broker.configuration())
    said = check(0)
    for words in ["takes the login of station", "may read callbox/front/+/set", "may write callbox/front/+/result"]:
        assert words in said, said
    assert messages.of("callbox/front/availability") == ["online"], messages.lines
    house.file("acl", Broker.acl("station").replace("readwrite callbox/front/#", "read callbox/front/#"), 0o644)
    broker.process.child.send_signal(1)
    assert "does not pass on what the station writes" in check(1)
    house.file("acl", Broker.acl("station").replace("readwrite callbox/front/#", "write callbox/front/#"), 0o644)
    broker.process.child.send_signal(1)
    assert "does not pass on what the station writes" in check(1), "the broker takes a subscription that it does not serve"
    house.file("acl", Broker.acl("station"), 0o644)
    broker.stop()
    broker.start()
    until("the rights", lambda: mqtt(house)["ready"], 70)


def too_long(house, broker):
    step("a message that is far too long is told as what it is")
    broker.publish("callbox/front/light/set", "x" * 300_000, "-r")
    until("the words", lambda: "far too long for a command" in (mqtt(house)["fault"] or ""), 70)
    broker.publish("callbox/front/light/set", "", "-r")
    until("the station again", lambda: mqtt(house)["ready"], 70)


def main():
    with House(sys.argv[1]) as house:
        house.certificates()
        broker = Broker(house)
        station = house.station(STATION + broker.configuration())
        ready(house)
        states_and_presses(house, broker)
        commands(house, broker)
        away(house, broker)
        checked(house, broker)
        too_long(house, broker)
        stalled(house, broker)
        refusals(house, broker)
        step("a station that ends says so, and one that is killed is said to be gone")
        station.stop()
        until("offline", lambda: broker.read("callbox/front/availability", 1, 2)["callbox/front/availability"] == "offline")
        station = house.station(STATION + broker.configuration(), "again")
        until("online", lambda: broker.read("callbox/front/availability", 1, 2)["callbox/front/availability"] == "online")
        station.stop(9)
        until("offline", lambda: broker.read("callbox/front/availability", 1, 2)["callbox/front/availability"] == "offline")
    step("the broker: all passed")


main()
