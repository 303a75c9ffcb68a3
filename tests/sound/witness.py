#!/usr/bin/env python3
"""Reports how long the machine itself stood still. For every line of input it prints by how many ms a thread of the
highest real-time priority was late, at worst, on any processor since the line before. No program could have been on
time then."""
import os
import sys
import threading
import time

NAP_S = 0.002
longest_s = 0.0


def watch(processor):
    global longest_s
    os.sched_setaffinity(0, {processor})
    while True:
        before = time.monotonic()
        time.sleep(NAP_S)
        longest_s = max(longest_s, time.monotonic() - before - NAP_S)


os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99))
for one in os.sched_getaffinity(0):
    threading.Thread(target=watch, args=[one], daemon=True).start()
for _ in sys.stdin:
    print(f"{longest_s * 1000:.0f}", flush=True)
    longest_s = 0.0
