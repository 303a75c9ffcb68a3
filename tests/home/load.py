"""Many clients at once, while somebody talks: followers, scrapes, commands, a broker and a receiver that stand still.

    load.py CALLBOX VIRTCARD [SECONDS]      a release build, and the sound card in user space
"""
import http.client
import json
import socket
import sys
import threading
import time

from peers import STATION, TOKEN, Broker, House, Stuck, anonymous_mb, free_port, step, until

RATE, FOLLOWERS, COMMANDS_A_SECOND = 48000, 20, 100


def cards(house, virtcard):
    """A sound card for each side of the call."""
    text = f'</usr/share/alsa/alsa.conf>\npcm_type.virtcard {{ lib "{virtcard}" }}\n'
    for name in ["amic", "aspk", "bmic", "bspk"]:
        air = house.folder / f"{name}.air"
        air.write_bytes(bytes(2 * 60 * RATE))
        text += f'pcm.{name} {{ type virtcard path "{air}" rate {RATE} }}\n'
    house.environment["ALSA_CONFIG_PATH"] = str(house.file("asound.conf", text))


def resident(house, url):
    """A second station, which answers as the resident's telephone would."""
    house.file("resident-password", "callbox\n")
    config = house.file("resident.toml", f"""
[core]
url = "{url}"
allow_insecure = true
login = "100"
password_file = "resident-password"
identifier = "resident"
[audio]
capture = "bmic"
playback = "bspk"
[gpio]
backend = "simulated"
[[answer]]
action = "answer"
[calls]
max_talk_s = 3600
[control]
socket = "resident.sock"
""")
    return house.process([house.callbox, "run", "--config", config], "resident")


class Load:
    def __init__(self, port):
        self.port, self.on = port, True
        self.events, self.scrapes, self.commands, self.failures = [0] * FOLLOWERS, 0, 0, []
        jobs = [(self.follow, index) for index in range(FOLLOWERS)] + [(self.scrape,), (self.command,)]
        self.threads = [threading.Thread(target=job[0], args=job[1:], daemon=True) for job in jobs]
        for thread in self.threads:
            thread.start()

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def ask(self, connection, method, path, body=None):
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            self.failures.append((path, answer.status, text))

    def follow(self, index):
        connection = self.connection()
        connection.request("GET", "/api/events", headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        while self.on:
            line = answer.readline()
            if not line:
                self.failures.append(("follower", index))
                return
            self.events[index] += line.startswith(b"data:")

    def scrape(self):
        while self.on:
            self.ask(self.connection(), "GET", "/metrics")
            self.scrapes += 1
            time.sleep(1)

    def command(self):
        connection, began = self.connection(), time.monotonic()
        while self.on:
            body = json.dumps({"set": "on" if self.commands % 2 else "off"})
            self.ask(connection, "POST", "/api/mode/away", body)
            self.commands += 1
            time.sleep(max(0, began + self.commands / COMMANDS_A_SECOND - time.monotonic()))

    def stop(self):
        self.on = False


def fill_black_box(house):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(house.socket))
        lines = connection.makefile("rw")
        for index in range(12000):
            lines.write(json.dumps({"request": "mode", "name": "away", "set": "on" if index % 2 else "off"}) + "\n")
            lines.flush()
            lines.readline()


def pressed(house):
    """How many presses by a finger became calls, and how long that took in ms, together."""
    counts = house.status()["counters"]["press_to_request"]
    return counts["count"], counts["sum_ms"]


def press_often(house, until_s):
    """A finger presses, again and again: each press calls somebody who is not there."""
    presses = 0
    while time.monotonic() < until_s:
        house.command("input", "help", "on")
        house.command("input", "help", "off")
        presses += 1
        time.sleep(2)
    return presses


def main():
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    with House(sys.argv[1]) as house:
        house.certificates()
        cards(house, sys.argv[2])
        broker, receiver, port = Broker(house), Stuck(house), free_port()
        station = house.station(
            '[audio]\ncapture = "amic"\nplayback = "aspk"\n[calls]\nmax_talk_s = 3600\nsecond_call = "mix"\n'
            '[[button]]\nname = "help"\npin = 9\npress = { call = "109", ring_s = 30 }\n' + STATION + broker.configuration()
            + f'http = "127.0.0.1:{port}"\nhttp_token_file = "token"\n'
            + f'[[hook]]\non = ["mode"]\nurl = "http://127.0.0.1:{receiver.port}/"\n', card=True)
        resident(house, until("the sandbox", lambda: [line.split()[-1].rstrip("/") for line in
                                                      station.log.read_text().splitlines() if line.startswith("Web phone")])[0])
        until("the interfaces", lambda: house.status()["mqtt"]["ready"] and house.status()["http"]["ready"])
        time.sleep(3)
        idle_mb = anonymous_mb(station)
        house.command("press", "bell")
        until("the call", lambda: house.status()["lines"][0]["state"] == "established", 30)
        # The black box has a size that it reaches at any load, and every call leaves something in the allocator.
        fill_black_box(house)
        press_often(house, time.monotonic() + max(20, seconds / 3))
        before, call_mb = house.status()["sound"], anonymous_mb(station)
        step(f"idle {idle_mb:.1f} MB, in a call with a full black box {call_mb:.1f} MB; {FOLLOWERS} followers, {COMMANDS_A_SECOND} commands a "
             f"second, a scrape a second, a broker and a receiver that stand still, for {seconds} s")
        load = Load(port)
        began, (count, sum_ms) = time.monotonic(), pressed(house)
        press_often(house, began + seconds / 3)
        broker.process.pause()
        press_often(house, began + seconds)
        count, sum_ms = pressed(house)[0] - count, pressed(house)[1] - sum_ms
        after, loaded_mb, status = house.status()["sound"], anonymous_mb(station), house.status()
        load.stop()
        broker.process.go_on()
        step(f"{load.commands} commands, {load.scrapes} scrapes, {min(load.events)} to {max(load.events)} events a follower; "
             f"longest frame {before['longest_frame_us']} us before, {after['longest_frame_us']} after; xruns "
             f"{after['xruns'] - before['xruns']}; {loaded_mb:.1f} MB; "
             f"{count} presses, {sum_ms / max(count, 1):.1f} ms to the request")
        assert not load.failures, load.failures[:5]
        assert load.commands >= COMMANDS_A_SECOND * seconds * 0.9 and load.scrapes >= seconds * 0.8
        assert min(load.events) >= load.commands * 0.9, load.events
        assert status["lines"][0]["state"] == "established", "the call has ended"
        assert after["xruns"] - before["xruns"] <= 2, (before, after)
        assert after["longest_frame_us"] <= max(3 * before["longest_frame_us"], 10_000), (before, after)
        assert loaded_mb - call_mb <= 2.0, (call_mb, loaded_mb)
        assert count > 0 and sum_ms / count < 10, (count, sum_ms)
        assert status["hooks"]["given_up"] > 0
        until("the broker again", lambda: house.status()["mqtt"]["ready"], 70)
    step("load: all passed")


main()
