"""The weather of a bad network from a seed: what becomes of each packet.

It is the same for packets in a recording (`impair`) and on a wire (relay.py): loss by Gilbert and Elliott with bursts of
two packets on average, delays that are spread evenly over the jitter (and put packets out of order), and outages of a
certain length at regular intervals.
"""
import dataclasses
import random
import struct


@dataclasses.dataclass
class Weather:
    loss: float = 0.0
    jitter_ms: float = 0.0
    outage_ms: float = 0.0
    outage_every_ms: float = 5_000.0
    burst_packets: float = 2.0

    def __str__(self):
        parts = [f"{100 * self.loss:.0f} % loss"]
        if self.jitter_ms:
            parts.append(f"{self.jitter_ms:.0f} ms jitter")
        if self.outage_ms:
            parts.append(f"{self.outage_ms:.0f} ms outages")
        return ", ".join(parts)


class Path:
    """Fates of packets, one after the other."""

    def __init__(self, weather, seed):
        self.weather, self.random, self.bad = weather, random.Random(seed), False

    def fate(self, at_ms):
        """How late this packet arrives, in ms; None if it is lost."""
        weather = self.weather
        leave = 1 / weather.burst_packets
        enter = weather.loss * leave / (1 - weather.loss)
        self.bad = self.random.random() < (1 - leave if self.bad else enter)
        late_ms = self.random.uniform(0, weather.jitter_ms)
        outage = weather.outage_ms and (at_ms + weather.outage_every_ms / 2) % weather.outage_every_ms < weather.outage_ms
        return None if self.bad or outage else late_ms


def read(path):
    """Packets of an rtpdump file: time in ms and bytes."""
    data = open(path, "rb").read()
    position, packets = data.index(b"\n") + 1 + 16, []
    while position < len(data):
        length, _, at_ms = struct.unpack_from(">HHI", data, position)
        packets.append((at_ms, data[position + 8:position + length]))
        position += length
    return packets


def write(path, packets):
    with open(path, "wb") as out:
        out.write(b"#!rtpplay1.0 0.0.0.0/0\n" + bytes(16))
        for at_ms, packet in packets:
            out.write(struct.pack(">HHI", len(packet) + 8, len(packet), at_ms) + packet)


def impair(packets, weather, seed):
    path = Path(weather, seed)
    fates = [(at_ms, path.fate(at_ms), packet) for at_ms, packet in packets]
    return sorted(((round(at_ms + late), packet) for at_ms, late, packet in fates if late is not None), key=lambda one: one[0])
