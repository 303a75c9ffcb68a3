"""What each interface costs a station that is idle: memory and wake-ups. Prints a table; nothing is too much here.

    cost.py CALLBOX [SECONDS]      a release build
"""
import pathlib
import sys
import threading
import time

from peers import STATION, Broker, House, anonymous_mb, free_port, until


def wakeups(process):
    """How often the threads of a process have gone to sleep by themselves (proc_pid_status(5))."""
    total = 0
    for status in pathlib.Path(f"/proc/{process.child.pid}/task").glob("*/status"):
        total += int(next(line for line in status.read_text().splitlines() if line.startswith("voluntary")).split()[1])
    return total


def measure(callbox, seconds, name, results):
    with House(callbox) as house:
        house.certificates()
        broker, control = Broker(house), ""
        # A receiver that nobody calls: hooks wait for events.
        hook = f'[[hook]]\non = ["alarm"]\nurl = "http://127.0.0.1:{free_port()}/"\n'
        if name in ("http", "all"):
            control += f'http = "127.0.0.1:{free_port()}"\nhttp_token_file = "token"\n'
        if name in ("mqtt", "all"):
            control += broker.configuration()
        station = house.station(STATION + control + (hook if name in ("hooks", "all") else ""))
        for interface in ("http", "mqtt", "hooks"):
            if name in (interface, "all"):
                until(interface, lambda: house.status()[interface]["ready"])
        time.sleep(10)
        before = wakeups(station)
        time.sleep(seconds)
        results[name] = (anonymous_mb(station), (wakeups(station) - before) / seconds)


def main():
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 120
    results, names = {}, ["none", "http", "mqtt", "hooks", "all"]
    threads = [threading.Thread(target=measure, args=(sys.argv[1], seconds, name, results)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("interfaces   memory MB   more   wake-ups a second   more")
    for name in names:
        (memory, rate), (least, usual) = results[name], results["none"]
        print(f"{name:<12} {memory:>9.2f} {memory - least:>6.2f} {rate:>19.2f} {rate - usual:>6.2f}")


main()
