#!/usr/bin/env python3
"""Checks that no DTMF digit is found in half an hour of recorded speech, and that digits are found: digits.py CALLBOX.

The speech is the telephone prompts of Debian's asterisk-core-sounds-en-wav at 8 kHz, spoken digits and letters among
them, at their own level and at four times that level.
"""
import array
import math
import pathlib
import subprocess
import sys
import tempfile
import wave

PROMPTS = pathlib.Path("/usr/share/asterisk/sounds")
RATE = 8000
ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = "123A456B789C*0#D"
LEAST_SECONDS = 600


def speech():
    said = array.array("h")
    for file in sorted(PROMPTS.glob("en*/**/*.wav")):
        with wave.open(str(file)) as prompt:
            if (prompt.getframerate(), prompt.getnchannels(), prompt.getsampwidth()) == (RATE, 1, 2):
                said.frombytes(prompt.readframes(prompt.getnframes()))
    return said


def tones(key):
    place = KEYS.index(key)
    pair = (ROWS[place // 4], COLUMNS[place % 4])
    return [round(3000 * sum(math.sin(2 * math.pi * hertz * at / RATE) for hertz in pair)) for at in range(RATE // 10)]


def heard(callbox, samples):
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        with wave.open(file.name, "wb") as out:
            out.setnchannels(1), out.setsampwidth(2), out.setframerate(RATE)
            out.writeframes(array.array("h", samples).tobytes())
        said = subprocess.run([callbox, "dsp", "digits", "--input", file.name], check=True, capture_output=True, text=True)
    return said.stdout.split()[2::3]


def main(callbox):
    talk = speech()
    seconds = len(talk) / RATE
    assert seconds > LEAST_SECONDS, f"only {seconds:.0f} s of speech under {PROMPTS}"
    for level in (1, 4):
        found = heard(callbox, [max(-32768, min(32767, level * sample)) for sample in talk])
        assert not found, f"digits in speech at level {level}: {found}"
    pause = [0] * (RATE // 10)
    found = heard(callbox, [sample for key in KEYS for sample in tones(key) + pause])
    assert found == list(KEYS), found
    print(f"no digit in {2 * seconds / 60:.0f} minutes of speech, and every digit is found")


if __name__ == "__main__":
    main(sys.argv[1])
