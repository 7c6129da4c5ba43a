"""Separate a recording in memory and print how loud each stem is.

python examples/separate_in_python.py song.wav
"""

import sys

import numpy as np
import soundfile

import drumsep


def main() -> None:
    """Read, separate, report."""
    samples, rate = soundfile.read(sys.argv[1], dtype="float32", always_2d=True)
    separator = drumsep.load()  # our own weights; drumsep.load("idm-official") once imported
    separation = separator.separate(drumsep.Audio(samples.T.copy(), rate))
    for name, stem in separation.stems.items():
        level = 20 * np.log10(np.sqrt(np.mean(stem.samples**2)) + 1e-9)
        print(f"{name:8s} {level:6.1f} dB")
    for hit in separation.transcription.hits[:8]:
        print(f"{hit.time:7.3f} s  {hit.drum.value:12s}  velocity {hit.velocity:.2f}")


if __name__ == "__main__":
    main()
