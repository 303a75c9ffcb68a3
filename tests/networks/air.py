"""A radio link between two network namespaces, made of two TUN devices (tun(4)): `eth0` of the station and NAME of the
router. A station that saves power fetches what has come for it only from time to time; what it sends goes at once.

    python3 air.py STATION-NAMESPACE ROUTER-NAMESPACE NAME BUNCH-MS
"""
import collections
import fcntl
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
# What an access point keeps for a station that sleeps.
MOST_WAITING = 500


def tun(namespace, name):
    device, before = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK), f"cb{name[:4]}{os.getpid()}"
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", before.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", before, "netns", namespace, "name", name], check=True)
    return device


def packets(device):
    while True:
        try:
            yield os.read(device, 65536)
        except BlockingIOError:
            return


def put(device, packet):
    try:
        os.write(device, packet)
    except OSError:
        pass  # The interface is down, or its queue is full.


def main(station_namespace, router_namespace, name, bunch_ms):
    station, router = tun(station_namespace, "eth0"), tun(router_namespace, name)
    bunch_s, waiting = int(bunch_ms) / 1000, collections.deque(maxlen=MOST_WAITING)
    wakes = time.monotonic() + bunch_s
    while True:
        ready, _, _ = select.select([station, router], [], [], max(0, wakes - time.monotonic()))
        for packet in packets(station) if station in ready else ():
            put(router, packet)
        waiting.extend(packets(router) if router in ready else ())
        if time.monotonic() >= wakes:
            wakes += bunch_s
            while waiting:
                put(station, waiting.popleft())


if __name__ == "__main__":
    main(*sys.argv[1:5])
