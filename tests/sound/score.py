#!/usr/bin/env python3
"""Makes speech, and scores what became of it: PLCMOS (Microsoft's model for concealment), PESQ wide band
(ITU-T P.862.2), delay.

    score.py speech OUT.wav --seconds 24 --seed 1       # two voices at 48 kHz, RMS -26 dBFS while they talk
    score.py score REFERENCE.wav HEARD.wav              # both at 48 kHz and from the same moment on; prints JSON
"""
import argparse
import json
import pathlib
import sys

import numpy as np
import soundfile as sf
from scipy.signal import correlate, resample_poly

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "echo"))
from echo_rig import RATE, speech, voices  # noqa: E402

WINDOW = 3 * RATE
# The longest delay that is searched for.
LONGEST = RATE // 2


def delay_of(reference, heard):
    """The position of the reference in the recording, in samples."""
    product = correlate(heard, reference, mode="full")[len(reference) - 1:]
    return int(np.argmax(product[:LONGEST]))


def score(reference, heard):
    from pesq import pesq
    from speechmos import plcmos

    delays = []
    for begin in range(0, len(reference) - WINDOW, WINDOW):
        said = reference[begin:begin + WINDOW]
        if np.mean(said**2) > 1e-5:
            delays.append(delay_of(said, heard[begin:begin + WINDOW + LONGEST]) / RATE * 1000)
    lag = delay_of(reference, heard)
    heard = heard[lag:lag + len(reference)]
    return {
        "plcmos": float(plcmos.run(heard.astype(np.float32), RATE)["plcmos"]),
        "pesq": float(pesq(RATE, reference[:len(heard)], heard, "wb")),
        "delay_ms": float(np.mean(delays)),
    }


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("speech")
    make.add_argument("out")
    make.add_argument("--seconds", type=float, default=24)
    make.add_argument("--seed", type=int, default=1)
    judge = commands.add_parser("score")
    judge.add_argument("reference")
    judge.add_argument("heard")
    args = parser.parse_args()
    if args.command == "speech":
        rng = np.random.default_rng(args.seed)
        said = np.concatenate([speech(voices(language), rng, args.seconds / 2) for language in ("en", "es")])
        sf.write(args.out, resample_poly(said, 3, 1), 3 * RATE, "PCM_16")
        return
    reference, heard = (resample_poly(sf.read(name)[0], 1, 3) for name in (args.reference, args.heard))
    print(json.dumps(score(reference, heard)))


if __name__ == "__main__":
    main()
