"""A station in a real Home Assistant, which finds it by MQTT.

    homeassistant.py CALLBOX HOME_ASSISTANT [PICTURE]     the folder is what homeassistant.sh prints
"""
import base64
import hashlib
import hmac
import json
import pathlib
import subprocess
import sys
import time

from peers import STATION, Broker, House, free_port, request, step, until

KEY = "0" * 64


def token():
    """A long-lived token of the owner (RFC 7519)."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    now = int(time.time())
    head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = part(json.dumps({"iss": "test", "iat": now - 60, "exp": now + 86400}).encode())
    signature = part(hmac.new(KEY.encode(), head + b"." + body, hashlib.sha256).digest())
    return (head + b"." + body + b"." + signature).decode()


class HomeAssistant:
    """Home Assistant with an owner, and with MQTT as somebody would have set it up on its pages."""

    def __init__(self, house, broker, folder):
        self.house, self.broker, self.folder = house, broker, pathlib.Path(folder)
        self.port, self.token = free_port(), token()
        self.data = house.folder / "homeassistant"
        (self.data / ".storage").mkdir(parents=True)
        (self.data / "configuration.yaml").write_text(
            f"homeassistant:\n  name: House\n  time_zone: UTC\nhttp:\n  server_host: 127.0.0.1\n"
            f"  server_port: {self.port}\napi:\nfrontend:\nlogbook:\n"
        )
        self.store("onboarding", 4, {"done": ["user", "core_config", "analytics", "integration"]})
        self.store("auth", 1, {
            "users": [{"id": "owner", "group_ids": ["system-admin"], "is_owner": True, "is_active": True, "name": "Owner",
                       "system_generated": False, "local_only": False}],
            "groups": [{"id": "system-admin", "name": "Administrators"}, {"id": "system-users", "name": "Users"},
                       {"id": "system-read-only", "name": "Read Only"}],
            "credentials": [],
            "refresh_tokens": [{
                "id": "test", "user_id": "owner", "client_id": None, "client_name": "test", "client_icon": None,
                "token_type": "long_lived_access_token", "created_at": "2026-01-01T00:00:00.000000+00:00",
                "access_token_expiration": 315360000.0, "token": "0" * 128, "jwt_key": KEY, "last_used_at": None,
                "last_used_ip": None, "expire_at": None, "credential_id": None, "version": "2024.3.0",
            }],
        })
        self.store("core.config_entries", 1, {"entries": [{
            "entry_id": "0123456789abcdef0123456789abcdef", "version": 1, "minor_version": 1, "domain": "mqtt",
            "title": "MQTT", "options": {}, "pref_disable_new_entities": False, "pref_disable_polling": False,
            "source": "user", "unique_id": None, "disabled_by": None,
            "data": {"broker": "localhost", "port": broker.port, "username": "home", "password": Broker.USERS["home"],
                     "certificate": (house.folder / "ca.pem").read_text(), "discovery": True},
        }]})
        self.start()

    def store(self, name, version, data):
        text = json.dumps({"version": version, "minor_version": 1, "key": name, "data": data})
        (self.data / ".storage" / name).write_text(text)

    def start(self):
        command = [self.folder / "bin/hass", "-c", self.data, "--skip-pip"]
        environment = {"PATH": f"{self.folder}/bin:/usr/bin:/bin", "HOME": str(self.house.folder)}
        self.process = self.house.process(command, "homeassistant.out", env=environment)
        until("Home Assistant", lambda: self.get("config")["state"] == "RUNNING", 180)

    def restart(self):
        self.process.stop()
        self.start()

    def get(self, path):
        status, answer = request(f"http://127.0.0.1:{self.port}/api/{path}", token=self.token)
        assert status == 200, (path, status, answer)
        return answer

    def call(self, domain, service, **data):
        status, answer = request(f"http://127.0.0.1:{self.port}/api/services/{domain}/{service}", data, self.token)
        assert status == 200, (domain, service, status, answer)

    def states(self):
        """The states of the station's entities."""
        return {state["entity_id"]: state for state in self.get("states") if state["entity_id"].split(".")[1].startswith("front_")}

    def state(self, entity):
        return self.states()[entity]["state"]


# Every entity, with its device class and its state after the start.
EXPECTED = {
    "event.front_bell": ("doorbell", "unknown"),
    "binary_sensor.front_leaf": ("door", "off"),
    "binary_sensor.front_hall": ("motion", "off"),
    "binary_sensor.front_door_entrance": ("door", "off"),
    "binary_sensor.front_session": ("connectivity", "on"),
    "binary_sensor.front_fault": ("problem", "off"),
    "button.front_strike": (None, "unknown"),
    "switch.front_light": (None, "off"),
    "switch.front_mode_away": (None, "off"),
    "switch.front_microphone_off": (None, "off"),
    "number.front_volume": (None, "80"),
    "sensor.front_call": ("enum", "idle"),
    "sensor.front_last_caller": (None, "none"),
    "sensor.front_last_end": (None, "none"),
}


def all_there(home):
    states = home.states()
    return set(states) == set(EXPECTED) and all(state["state"] != "unavailable" for state in states.values())


def appears(home):
    step("all entities are there, with their classes")
    until("the entities", lambda: all_there(home), 60)
    states = home.states()
    for entity, (device_class, state) in EXPECTED.items():
        assert states[entity]["attributes"].get("device_class") == device_class, states[entity]
        assert states[entity]["state"] == state, states[entity]


def rings_and_opens(house, home):
    step("a press is a doorbell that rings, and the strike is opened from the house")
    events = house.follow()
    house.command("press", "bell")
    until("the ring", lambda: home.state("event.front_bell") != "unknown")
    assert home.states()["event.front_bell"]["attributes"]["event_type"] == "ring"
    until("how it ended", lambda: home.state("sensor.front_last_end") == "not_reachable")
    home.call("button", "press", entity_id="button.front_strike")
    until("the strike", lambda: [e for e in events.all("output") if e["output"] == "strike" and e["drive"] == "on"
                                 and e["by"] == {"kind": "mqtt"}])
    home.call("switch", "turn_on", entity_id="switch.front_light")
    until("the light", lambda: home.state("switch.front_light") == "on")
    home.call("switch", "turn_off", entity_id="switch.front_light")
    home.call("switch", "turn_on", entity_id="switch.front_mode_away")
    home.call("number", "set_value", entity_id="number.front_volume", value=35)
    until("the mode and the volume", lambda: (home.state("switch.front_mode_away"), home.state("number.front_volume")) == ("on", "35"))
    assert house.status()["audio"]["volume"] == 35
    until("the end of the right to open", lambda: house.status()["outputs"][0]["drive"] == "off")
    time.sleep(1.5)
    house.command("input", "leaf", "on")
    until("the forced door", lambda: (home.state("binary_sensor.front_leaf"), home.state("binary_sensor.front_fault")) == ("on", "on"))
    house.command("input", "leaf", "off")
    until("the closed door", lambda: home.state("binary_sensor.front_fault") == "off")
    events.stop()


def comes_back(house, broker, home):
    step("the broker dies and comes back, Home Assistant restarts, and nothing moves")
    events, rang = house.follow(), home.state("event.front_bell")
    broker.publish("callbox/front/light/set", "ON", "-r")
    until("the live command", lambda: len(events.all("output")) == 1)
    house.command("output", "light", "off")
    until("the light", lambda: len(events.all("output")) == 2)
    time.sleep(2)  # The broker saves what is retained.
    broker.stop()
    until("unavailable", lambda: all(state["state"] == "unavailable" for state in home.states().values()), 60)
    house.command("press", "bell")
    broker.start()
    until("the entities", lambda: all_there(home), 120)
    home.restart()
    until("the entities", lambda: all_there(home), 120)
    assert home.state("event.front_bell") == rang, "a ring while the broker was away is told later"
    time.sleep(2)
    assert len(events.all("output")) == 2, events.all("output")
    house.command("press", "bell")
    until("the next ring", lambda: home.state("event.front_bell") != rang)
    events.stop()


def picture(home, file):
    """What a person sees: the page of the station's devices."""
    step("a picture of its page")
    done = subprocess.run(
        ["node", pathlib.Path(__file__).with_name("picture.mjs"), f"http://127.0.0.1:{home.port}", home.token, file],
        capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stderr


def main():
    with House(sys.argv[1]) as house:
        house.certificates()
        broker = Broker(house)
        station = house.station(STATION + broker.configuration())
        home = HomeAssistant(house, broker, sys.argv[2])
        appears(home)
        rings_and_opens(house, home)
        if len(sys.argv) > 3:
            picture(home, sys.argv[3])
        comes_back(house, broker, home)
        step("a station that is gone is unavailable")
        station.stop(9)
        until("unavailable", lambda: all(state["state"] == "unavailable" for state in home.states().values()), 60)
    step("Home Assistant: all passed")


main()
