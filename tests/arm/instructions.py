"""What the sound of a call costs on ARM: instructions for each frame of 10 ms, counted by QEMU.

    python3 instructions.py CALLBOX_FOR_ARM64 COUNT_SO

Each part runs over 10 s and over 20 s of sound. The difference of both does not contain the start and the end.
"""
import math
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import wave

# The default rate of a station.
RATE = 48_000
# A Cortex-A53 at 1 GHz (Raspberry Pi Zero 2 W) executes two instructions a cycle at best, code like this 0.5 to 1.
CLOCK_HZ, PER_CYCLE = 1_000_000_000, 0.6


def write(path, seconds, seed, gain=0.3):
    """Something like a voice: syllables of a buzz and of noise."""
    numbers = random.Random(seed)
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1), sound.setsampwidth(2), sound.setframerate(RATE)
        for index in range(seconds * RATE):
            time = index / RATE
            swell = max(0.0, math.sin(2 * math.pi * 3 * time)) * gain
            buzz = sum(math.sin(2 * math.pi * 130 * n * time) / n for n in range(1, 6))
            sound.writeframesraw(struct.pack("<h", round(20_000 * swell * (0.5 * buzz + 0.1 * numbers.uniform(-1, 1)))))


def main(callbox, plugin):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)

        def count(*words):
            ran = subprocess.run(["qemu-aarch64", "-plugin", plugin, "-d", "plugin", callbox, "dsp", *map(str, words)],
                                 capture_output=True, text=True)
            found = re.search(r"instructions (\d+)", ran.stderr)
            if ran.returncode or not found:
                sys.exit(f"instructions: {' '.join(map(str, words))}: {ran.stderr.strip() or 'no count'}")
            return int(found[1])

        totals = {}
        for seconds in (10, 20):
            far, mic, out, trace = (folder / f"{seconds}-{name}" for name in ("far.wav", "mic.wav", "out.wav", "trace"))
            write(far, seconds, 1), write(mic, seconds, 2)
            totals[seconds] = {
                "echo, noise, gain": count("echo", "--noise-suppression", "--gain-control", "--far", far, "--mic", mic, "--out", out),
                "Opus, sending": count("send", "--input", mic, "--trace", trace),
                "Opus, receiving": count("receive", "--rate", RATE, "--trace", trace, "--out", out),
            }
        whole = 0
        for part, short in totals[10].items():
            frame = (totals[20][part] - short) / 1000
            whole += frame
            print(f"{part:20} {frame / 1000:7.0f} thousand instructions in 10 ms")
        share = whole / PER_CYCLE / (CLOCK_HZ / 100)
        print(f"{'together':20} {whole / 1000:7.0f} thousand: {100 * share:.0f} % of a Cortex-A53 at 1 GHz with {PER_CYCLE} a cycle")


if __name__ == "__main__":
    main(*sys.argv[1:])
