#!/usr/bin/env python3
"""A relay in user space between two network namespaces: it carries every frame, but loses and delays RTP.

    relay.py INTERFACE_A INTERFACE_B

The interfaces are the near ends of two veth pairs. Each line on standard input is the weather from then on as JSON
(`{"seed": 1, "loss": 0.05, "jitter_ms": 40, …}`, see weather.py) for the RTP that comes in at A; what comes in at B is
carried as it is. The answer to each line is "ok", how many RTP packets were seen and lost under the weather before, and
the 99th percentile of how far the time between two of them was from 20 ms.
"""
import heapq
import json
import select
import socket
import sys
import time

from weather import Path, Weather

EVERYTHING = 3  # ETH_P_ALL
OUTGOING = 4  # PACKET_OUTGOING
IPV4, UDP = b"\x08\x00", 17


def rtp_sequence(frame):
    """The sequence number of an RTP or SRTP packet; None for RTCP, STUN and DTLS (RFC 7983)."""
    if frame[12:14] != IPV4 or frame[23] != UDP:
        return None
    payload = 14 + (frame[14] & 15) * 4 + 8
    if len(frame) <= payload + 12 or frame[payload] >> 6 != 2 or 64 <= frame[payload + 1] & 127 < 96:
        return None
    return int.from_bytes(frame[payload + 2:payload + 4], "big")


def main(near, far):
    sides = []
    for name in (near, far):
        side = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING))
        side.bind((name, 0))
        sides.append(side)
    path, begin, seen, lost, order = Path(Weather(), 0), time.monotonic(), 0, 0, 0
    intervals, last, newest = [], 0.0, None
    waiting = []
    while True:
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([*sides, sys.stdin], [], [], pause)
        while waiting and waiting[0][0] <= time.monotonic():
            sides[1].send(heapq.heappop(waiting)[2])
        if sys.stdin in ready:
            line = sys.stdin.readline()
            if not line:
                return
            print(f"ok {seen} {lost} {uneven_ms(intervals):.2f}", flush=True)
            intervals.clear()
            newest = None
            path, begin, seen, lost = path_of(json.loads(line)), time.monotonic(), 0, 0
        for index, side in enumerate(sides):
            if side not in ready:
                continue
            frame, (_, _, kind, *_) = side.recvfrom(65536)
            if kind == OUTGOING:
                continue
            sequence = None if index == 1 else rtp_sequence(frame)
            if sequence is None:
                sides[1 - index].send(frame)
                continue
            now = time.monotonic()
            # Packets that are sent a second time do not count.
            if newest is None or 0 < (sequence - newest) & 0xFFFF < 0x8000:
                intervals.append((now - last) * 1000)
                last, newest = now, sequence
            late_ms = path.fate((now - begin) * 1000)
            seen += 1
            if late_ms is None:
                lost += 1
            elif late_ms == 0:
                sides[1].send(frame)
            else:
                order += 1
                heapq.heappush(waiting, (now + late_ms / 1000, order, frame))


def uneven_ms(intervals):
    # Longer intervals are silence in which nothing is sent.
    off = sorted(abs(interval - 20) for interval in intervals if interval < 50)
    return off[len(off) * 99 // 100] if off else 0.0


def path_of(asked):
    seed = asked.pop("seed")
    return Path(Weather(**asked), seed)


if __name__ == "__main__":
    main(*sys.argv[1:])
