"""What the sound of a call costs on ARM: instructions for each frame of 10 ms, counted by QEMU.

    python3 instructions.py CALLBOX_FOR_ARM64 COUNT_SO

Each part runs once and three times over 10 s of sound. The difference contains neither the start nor files.
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

# The default rate of a station, and that of slow boards.
RATES = (48_000, 16_000)
SECONDS = 10
# A Cortex-A53 at 1 GHz (Raspberry Pi Zero 2 W) executes two instructions a cycle at best, code like this 0.5 to 1.
CLOCK_HZ, PER_CYCLE = 1_000_000_000, 0.6


def write(path, rate, seconds, seed, gain=0.3):
    """Something like a voice: syllables of a buzz and of noise."""
    numbers = random.Random(seed)
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1), sound.setsampwidth(2), sound.setframerate(rate)
        for index in range(seconds * rate):
            time = index / rate
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

        far, mic, out, trace = (folder / name for name in ("far.wav", "mic.wav", "out.wav", "trace"))
        for rate in RATES:
            write(far, rate, SECONDS, 1), write(mic, rate, SECONDS, 2)
            parts = {
                "echo, noise, gain": ("echo", "--noise-suppression", "--gain-control", "--far", far, "--mic", mic, "--out", out),
                "Opus, sending": ("send", "--input", mic, "--trace", trace),
                "Opus, receiving": ("receive", "--rate", rate, "--trace", trace, "--out", out),
            }
            whole = 0
            for part, words in parts.items():
                frame = (count(*words, "--passes", 3) - count(*words, "--passes", 1)) / (2 * SECONDS * 100)
                whole += frame
                print(f"{rate // 1000} kHz: {part:20} {frame / 1000:7.0f} thousand instructions in 10 ms")
            share = whole / PER_CYCLE / (CLOCK_HZ / 100)
            print(f"{rate // 1000} kHz: {'together':20} {whole / 1000:7.0f} thousand: {100 * share:.0f} % of a Cortex-A53 at 1 GHz with {PER_CYCLE} a cycle")


if __name__ == "__main__":
    main(*sys.argv[1:])
