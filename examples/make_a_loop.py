"""Write a few seconds of stereo drums made by formula: something to try drumsep on.

python examples/make_a_loop.py song.wav [seconds]
"""

import sys

import numpy as np
import soundfile

RATE = 44100  # Hz
BEAT = 0.5  # s, 120 beats per minute


def struck(duration: float, times: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """Place a sound (n,) at the given times in seconds; every other stroke is softer."""
    track = np.zeros(round(duration * RATE) + sound.size)
    for number, time in enumerate(times):
        first = round(time * RATE)
        track[first : first + sound.size] += sound * (1.0 if number % 2 == 0 else 0.7)
    return track[: round(duration * RATE)]


def main() -> None:
    """Render kick, snare and hat, pan them a little, and write 24-bit WAV."""
    path = sys.argv[1] if len(sys.argv) > 1 else "song.wav"
    duration = float(sys.argv[2]) if len(sys.argv) > 2 else 8.0
    noise = np.random.default_rng(1).standard_normal(RATE)
    time = np.arange(RATE) / RATE

    kick_pitch = 50 * time + 3 * (1 - np.exp(-30 * time))
    kick = np.exp(-9 * time) * np.sin(2 * np.pi * kick_pitch) + 0.2 * np.exp(-400 * time) * noise
    snare = np.exp(-18 * time) * (0.5 * noise + 0.5 * np.sin(2 * np.pi * 190 * time))
    hat = np.exp(-60 * time) * np.diff(noise, prepend=0.0)

    kicks = struck(duration, np.arange(0.1, duration, 2 * BEAT), kick)
    snares = struck(duration, np.arange(0.1 + BEAT, duration, 2 * BEAT), 0.7 * snare)
    hats = struck(duration, np.arange(0.1, duration, BEAT / 2), 0.25 * hat)
    left = kicks + 0.9 * snares + 0.6 * hats
    right = kicks + 0.7 * snares + 1.0 * hats
    samples = np.stack([left, right], axis=1)
    soundfile.write(path, 0.8 * samples / np.abs(samples).max(), RATE, subtype="PCM_24")


if __name__ == "__main__":
    main()
