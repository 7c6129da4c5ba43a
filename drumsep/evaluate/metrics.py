"""Scores as pure functions of arrays, one equation each.

Conventions: sound is (channels, time); reference first, estimate second; sums run over channels and
samples, so that a stereo stem has one score. Times are seconds. Better is higher, unless said.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drumsep.errors import DrumsepError

Sound = NDArray[np.floating[Any]]
Spectrum = NDArray[np.float32]

NSDR_EPS = 1e-7  # energy; LarsNet paper, eq. 6

LSD_FFT = 2048  # samples
LSD_HOP = 512  # samples
LSD_FLOOR = 1e-8  # power of a bin; just below the rounding noise of 16 bits at this window

SILENCE_WINDOW = 512  # samples
SILENCE_FLOOR = -60.0  # dB, of the energy of a window

SHOT_FFTS = (512, 1024, 2048, 4096)  # samples
SHOT_SECONDS = 0.5  # s that are compared
SHOT_LAG = 0.02  # s, the furthest that one-shots are shifted onto each other
SHOT_RANGE = 60.0  # dB below its loudest bin in which a one-shot is compared

BSS_TAPS = 512  # samples; BSS Eval's allowed filter


def nsdr(reference: Sound, estimate: Sound) -> float:
    """Signal-to-distortion ratio in dB, with no allowed distortion; LarsNet paper, eq. 6.

        nSDR = 10 log10 ((sum |x|^2 + eps) / (sum |x - y|^2 + eps)),  eps = 1e-7

    A perfect estimate of a stem with energy E scores 10 log10 (E / eps + 1), a stem that is silent
    at best 0 dB: keep sounding and silent stems apart.
    """
    _same_shape(reference, estimate)
    distortion = _energy(reference.astype(np.float64) - estimate)
    return _ratio_db(_energy(reference), distortion, NSDR_EPS)


def si_sdr(reference: Sound, estimate: Sound) -> float:
    """Scale-invariant signal-to-distortion ratio in dB; Le Roux et al. 2019, eq. 5.

        SI-SDR = 10 log10 (|a x|^2 / |a x - y|^2),  a = <x, y> / |x|^2

    One factor for all channels, so that a wrong balance is an error; eps = 1e-7 on both sides of
    the fraction. Undefined (NaN) for a silent reference.
    """
    _same_shape(reference, estimate)
    exact = reference.astype(np.float64)
    energy = _energy(exact)
    if energy == 0:
        return float("nan")
    target = exact * (float(np.sum(exact * estimate)) / energy)
    return _ratio_db(_energy(target), _energy(target - estimate), NSDR_EPS)


def bss_sdr(reference: Sound, estimate: Sound) -> float:
    """BSS Eval's SDR in dB, "oSDR" in the LarsNet paper; Vincent et al. 2006.

        SDR = 10 log10 (|P y|^2 / |y - P y|^2)

    P projects onto the reference and its delays of up to 511 samples, so that any short filter is
    forgiven. Each channel by itself; the mean over those in which the reference sounds, NaN where
    there is none. Needs fast_bss_eval (extra `evaluate`), chosen over museval, which brings pandas
    and a data set's library and takes medians over windows of a second. Its numpy half fails under
    numpy 2, so it is given tensors.
    """
    import torch
    from fast_bss_eval import sdr_loss

    _same_shape(reference, estimate)
    sounding = np.flatnonzero(np.abs(reference).max(axis=1) > 0)
    if not len(sounding):
        return float("nan")
    # A little on the diagonal keeps the least squares solvable for nearly pure tones.
    loss = sdr_loss(
        torch.from_numpy(estimate[sounding].astype(np.float64)),
        torch.from_numpy(reference[sounding].astype(np.float64)),
        filter_length=BSS_TAPS,
        load_diag=1e-8,
        clamp_db=100.0,
    )
    return -float(loss.mean())


def log_spectral_distance(reference: Sound, estimate: Sound) -> float:
    """Distance of log power spectra in dB, lower is better; Gray and Markel 1976.

        LSD = mean_t sqrt(mean_f (10 log10 ((|X|^2 + eps) / (|Y|^2 + eps)))^2),  eps = 1e-8

    averaged over channels. Departs from the published IDM's, which takes natural logarithms (4.34
    times smaller), 8092 points every 64 samples (blurs attacks, costs 60 times as much).
    """
    _same_shape(reference, estimate)
    x, y = (_power(sound, LSD_FFT, LSD_HOP) + LSD_FLOOR for sound in (reference, estimate))
    return float(_root_mean_square(10 * np.log10(x / y)).mean())


def predicted_energy_at_silence(reference: Sound, estimate: Sound) -> float:
    """PES: mean energy in dB of the estimate where the reference is silent; lower is better.

        PES = mean_{n: E(x_n) <= -60} max(E(y_n), -60),  E(x_n) = 10 log10 (sum |x_n|^2 + 1e-8)

    over windows of 512 samples that do not overlap; -60 is perfect, NaN where no window is silent.
    Schulze-Forster et al. 2019, with the threshold and the window of the published IDM, which
    looks at each channel alone; here the channels of a window are added.
    """
    silent, energy = _window_energies(reference, estimate)
    return _mean_where(silent <= SILENCE_FLOOR, energy)


def energy_at_predicted_silence(reference: Sound, estimate: Sound) -> float:
    """EPS: mean energy in dB of the reference where the estimate is silent; lower is better.

    `predicted_energy_at_silence` with the roles exchanged: what has been missed altogether.
    """
    return predicted_energy_at_silence(estimate, reference)


def one_shot_distance(truth: Sound, shot: Sound, rate: int) -> float:
    """Distance of two one-shots in dB, lower is better; ours.

        mean over n in {512 .. 4096} of LSD_n, of the first 0.5 s, mono

    after the shot has been shifted by at most 20 ms to where the two envelopes agree best, and
    both scaled to equal energy. LSD_n has windows of n samples every n / 4; its eps lies 60 dB
    below the truth's loudest bin, so that what cannot be heard does not count. NaN if either is
    silent. Both at `rate` Hz; channel counts and lengths may differ.
    """
    lag = round(SHOT_LAG * rate)
    length = round(SHOT_SECONDS * rate)
    x = _padded_mono(truth, length)
    y = _shifted(_padded_mono(shot, length), _best_shift(x, _padded_mono(shot, length), lag))
    if not (x.any() and y.any()):
        return float("nan")
    x, y = x / np.sqrt(_energy(x)), y / np.sqrt(_energy(y))
    return float(np.mean([_distance_in_range(x, y, n_fft) for n_fft in SHOT_FFTS]))


def matched(
    reference: NDArray[Any], estimate: NDArray[Any], window: float
) -> list[tuple[int, int]]:
    """Pairs (i, j) of onset times at most `window` s apart, each used once, as many as possible.

    mir_eval's matching (extra `evaluate`): a maximum bipartite one, as MIREX scores onsets. Rounded
    to a microsecond first, or two written times 50 ms apart would miss a window of 50 ms.
    """
    from mir_eval.util import match_events

    if not (len(reference) and len(estimate)):
        return []
    times = np.round(reference, 6), np.round(estimate, 6)
    return sorted((int(i), int(j)) for i, j in match_events(*times, window + 1e-9))


def correlation(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Pearson's r of paired values; NaN for fewer than three pairs or where one is constant."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _same_shape(reference: Sound, estimate: Sound) -> None:
    if reference.shape != estimate.shape or reference.ndim != 2:
        shapes = f"{reference.shape} and {estimate.shape}"
        raise DrumsepError(f"scores compare two sounds of one shape (channels, time), got {shapes}")


def _energy(sound: Sound) -> float:
    return float(np.sum(np.square(sound, dtype=np.float64)))


def _ratio_db(signal: float, distortion: float, eps: float) -> float:
    return float(10 * np.log10((signal + eps) / (distortion + eps)))


def _power(sound: Sound, n_fft: int, hop: int) -> Spectrum:
    """Power spectrum (channels, frames, bins) under a periodic Hann window, zeros at both ends."""
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    padded = np.pad(sound.astype(np.float32), ((0, 0), (n_fft // 2, n_fft // 2 + hop)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=-1)[:, ::hop]
    spectrum = np.fft.rfft(frames * window)
    power: Spectrum = np.square(spectrum.real) + np.square(spectrum.imag)
    return power


def _root_mean_square(values: NDArray[Any]) -> NDArray[Any]:
    """Over the last axis."""
    root: NDArray[Any] = np.sqrt(np.mean(np.square(values), axis=-1))
    return root


def _window_energies(first: Sound, second: Sound) -> tuple[NDArray[Any], NDArray[Any]]:
    """Energies in dB of the windows of two sounds, floored; the last, shorter window counts."""
    _same_shape(first, second)
    starts = np.arange(0, first.shape[-1], SILENCE_WINDOW)
    squares = (np.square(sound, dtype=np.float64).sum(axis=0) for sound in (first, second))
    floor = 10 ** (SILENCE_FLOOR / 10)
    energies = (np.add.reduceat(square, starts) if len(starts) else square for square in squares)
    x, y = (10 * np.log10(np.maximum(energy + 1e-8, floor)) for energy in energies)
    return x, y


def _mean_where(chosen: NDArray[np.bool_], values: NDArray[Any]) -> float:
    return float(values[chosen].mean()) if chosen.any() else float("nan")


def _padded_mono(sound: Sound, length: int) -> NDArray[np.float64]:
    mono = sound.mean(axis=0, dtype=np.float64)[:length]
    return np.pad(mono, (0, length - len(mono)))


def _best_shift(truth: Sound, shot: Sound, lag: int) -> int:
    """Shift of the shot, in -lag..lag samples, at which the two rectified sounds agree best."""
    n_fft = 2 * len(truth)
    spectra = (np.fft.rfft(np.abs(sound), n_fft) for sound in (truth, shot))
    agreement = np.fft.irfft(next(spectra) * next(spectra).conj(), n_fft)
    return int(np.argmax(np.roll(agreement, lag)[: 2 * lag + 1])) - lag


def _shifted(sound: Sound, shift: int) -> NDArray[np.float64]:
    """The sound so many samples later, or earlier; as long as before."""
    moved = np.zeros(len(sound))
    if shift >= 0:
        moved[shift:] = sound[: len(sound) - shift]
    else:
        moved[:shift] = sound[-shift:]
    return moved


def _distance_in_range(truth: Sound, shot: Sound, n_fft: int) -> float:
    x, y = (_power(sound[None], n_fft, n_fft // 4) for sound in (truth, shot))
    floor = float(x.max()) * 10 ** (-SHOT_RANGE / 10)
    return float(_root_mean_square(10 * np.log10((x + floor) / (y + floor))).mean())
