"""LarsNet on whole recordings: chunk by chunk as at once, any channels, any length."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from drumsep import onsets
from drumsep.drums import STEMS, Drum
from drumsep.dsp import Stft, wiener
from drumsep.errors import DrumsepError
from drumsep.larsnet.model import BY_ONSETS, EPS, ChunkMasker, LarsNetModel
from drumsep.larsnet.network import Dimensions, LarsNet
from drumsep.recording import Recording
from drumsep.results import Audio, Hit, Options, Progress, Transcription, no_progress
from drumsep.separator import Separator
from tests.conftest import drum_loop
from tests.goldens import make_larsnet
from tests.goldens.make_larsnet import SMALL, toy

CHUNK = SMALL.frames * SMALL.hop  # samples that a chunk advances
GIVEN = Transcription((Hit(0.1, Drum.RIDE, 0.5),), 1.0)


@pytest.fixture(scope="module")
def network() -> LarsNet:
    return toy(SMALL)


def separated(network: LarsNet, samples: np.ndarray, **options: object) -> np.ndarray:
    """Stems (5, C, n); hits are given, so that none are looked for."""
    separator = Separator(LarsNetModel(network, "toy"))
    chosen = Options(hits=GIVEN, **options)  # type: ignore[arg-type]
    stems = separator.separate(Audio(samples, SMALL.rate), chosen).stems
    return np.stack([stems[name].samples for name in STEMS])


@torch.inference_mode()
def separated_at_once(network: LarsNet, samples: np.ndarray, alpha: float | None) -> np.ndarray:
    """The published order of work: the whole spectrum, all chunks as one batch, the whole sum."""
    stft, size = Stft(SMALL.n_fft, SMALL.hop), network.dimensions
    total = samples.shape[1]
    zeros = stft.padded_length(total) - total
    padded = F.pad(torch.from_numpy(samples), (0, zeros))
    padded = F.pad(padded, (stft.margin, stft.margin), mode="reflect")
    spectrum = stft.spectrum(padded)
    magnitudes = F.pad(spectrum.abs()[:, :-1], (0, -spectrum.shape[-1] % size.frames))
    chunks = torch.stack(magnitudes.split(size.frames, dim=-1))
    masks = torch.cat(list(network(chunks)), dim=-1)[..., : spectrum.shape[-1]]
    masks = F.pad(masks, (0, 0, 0, 1))
    if alpha is not None:
        masks = wiener(masks * spectrum.abs(), alpha, EPS)
    summed = stft.overlap_add(masks * spectrum)
    summed /= stft.window_energy(spectrum.shape[-1], summed.device).clamp_min(1e-11)
    return summed[..., stft.margin : stft.margin + total].numpy()


@pytest.mark.parametrize(
    "length",
    [129, CHUNK - 65, CHUNK - 64, CHUNK - 63, CHUNK, CHUNK + 1, 2 * CHUNK - 63, 3 * CHUNK + 777],
)
@pytest.mark.parametrize("alpha", [None, 1.5])
def test_chunk_by_chunk_equals_at_once(network: LarsNet, length: int, alpha: float | None) -> None:
    samples = drum_loop(0.4).samples[:, :length]
    streamed = separated(network, samples, mask=alpha is not None, alpha=alpha)
    expected = separated_at_once(network, samples, alpha)
    np.testing.assert_allclose(streamed, expected, atol=1e-6)


@pytest.mark.parametrize("batch", [2, 3, 50])
@pytest.mark.parametrize(("channels", "overlap"), [(2, 0.0), (3, 0.0), (2, 0.4)])
@pytest.mark.parametrize("length", [2 * CHUNK - 63, 5 * CHUNK + 777])
def test_chunks_heard_at_once_are_those_heard_one_by_one(
    network: LarsNet, batch: int, channels: int, overlap: float, length: int
) -> None:
    samples = drum_loop(0.8, channels=channels).samples[:, :length].copy()
    samples[:, CHUNK : 3 * CHUNK] = 0  # some of it is not heard at all
    apart, together = (
        separated(network, samples, overlap=overlap, batch=count) for count in (1, batch)
    )
    np.testing.assert_allclose(together, apart, atol=1e-6)


def test_the_small_goldens_stand() -> None:
    """Made by `tests/goldens/make_larsnet.py`; anything above rounding is a change of meaning."""
    stored = np.load(make_larsnet.PATH)
    computed = make_larsnet.goldens()
    assert set(stored) == set(computed)
    for name, expected in stored.items():
        np.testing.assert_allclose(computed[name], expected, atol=2e-6, err_msg=name)


def test_filtered_masks_share_all_but_the_highest_frequency(network: LarsNet) -> None:
    spectrum = torch.randn(2, SMALL.bins + 1, 40, dtype=torch.complex64)
    shares = ChunkMasker(network, Options()).masks(spectrum, 0).sum(dim=0)
    torch.testing.assert_close(shares[:, :-1], torch.ones(2, SMALL.bins, 40), atol=1e-3, rtol=0)
    assert not shares[:, -1].any()


def test_mono_is_the_mean_of_the_published_two_channels(network: LarsNet) -> None:
    mono = drum_loop(0.2, channels=1).samples
    doubled = separated(network, np.concatenate([mono, mono]))
    stems = separated(network, mono)
    assert stems.shape == (5, 1, mono.shape[1])
    np.testing.assert_allclose(stems[:, 0], doubled.mean(axis=1), atol=1e-6)


def test_more_channels_are_separated_in_pairs(network: LarsNet) -> None:
    four = drum_loop(0.2, channels=4).samples
    stems = separated(network, four)
    np.testing.assert_allclose(stems[:, :2], separated(network, four[:2].copy()), atol=1e-6)
    np.testing.assert_allclose(stems[:, 2:], separated(network, four[2:].copy()), atol=1e-6)
    three = separated(network, four[:3].copy())
    np.testing.assert_allclose(three[:, :2], stems[:, :2], atol=1e-6)
    np.testing.assert_allclose(three[:, 2:], separated(network, four[2:3].copy()), atol=1e-6)


@pytest.mark.parametrize("length", [0, 1, 2, 63, 128])
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_short_and_empty_recordings_keep_their_length(
    network: LarsNet, length: int, overlap: float
) -> None:
    samples = np.full((2, length), 0.5, np.float32)
    stems = separated(network, samples, overlap=overlap)
    assert stems.shape == (5, 2, length)
    assert np.isfinite(stems).all()


def test_silent_chunks_are_silent_and_never_heard(network: LarsNet) -> None:
    heard = []
    hook = network["kick"].register_forward_hook(lambda *_: heard.append(1))
    samples = np.zeros((2, 4 * CHUNK), np.float32)
    assert not separated(network, samples).any()
    assert not heard
    samples[:, -CHUNK // 2 :] = drum_loop(0.5).samples[:, 3000 : 3000 + CHUNK // 2]
    assert not separated(network, samples)[..., : 3 * CHUNK].any()
    hook.remove()
    assert len(heard) == 2  # the last block, and the frame that closes the recording


@pytest.mark.parametrize("batch", [1, 4])
def test_frames_that_a_chunk_has_told_are_not_heard_again(network: LarsNet, batch: int) -> None:
    heard = []
    hook = network["kick"].register_forward_hook(lambda _, args, __: heard.append(len(args[0])))
    spectrum = torch.randn(2, SMALL.bins + 1, 2 * SMALL.frames, dtype=torch.complex64)
    masker = ChunkMasker(network, Options(mask=False, overlap=0.5, batch=batch))
    seen = masker.block + masker.lookahead
    starts = range(0, spectrum.shape[-1], masker.block)
    pieces = [masker.masks(spectrum[..., start : start + seen], start) for start in starts]
    hook.remove()
    assert sum(piece.shape[-1] for piece in pieces) == spectrum.shape[-1]
    assert sum(heard) == 3  # of 64 frames from 0, 32 and 64; those from 96 on are told by the last


def test_a_short_chunk_is_heard_as_if_padded_to_full_length() -> None:
    """What is left out of the padding is out of the reach of the masks."""
    size = Dimensions(n_fft=128, hop=32, frames=512, base=1)
    network = toy(size)
    lengths = []
    hook = network["kick"].register_forward_hook(
        lambda _, args, __: lengths.append(args[0].shape[-1])
    )
    spectrum = torch.randn(2, size.bins + 1, 60, dtype=torch.complex64)
    masker = ChunkMasker(network, Options(mask=False))
    short = masker.masks(spectrum, 0)
    hook.remove()
    assert lengths == [256]
    with torch.inference_mode():
        full = network(F.pad(spectrum.abs()[None, :, :-1], (0, 512 - 60)))[0, ..., :60]
    torch.testing.assert_close(short[..., :-1, :], full, atol=1e-6, rtol=0)


@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_overlap_comes_closer_to_one_long_chunk(overlap: float) -> None:
    size = Dimensions(n_fft=128, hop=32, frames=512, base=1)
    network = toy(size)
    spectrum = torch.randn(2, size.bins + 1, 1536, dtype=torch.complex64)

    def masks(overlap: float) -> torch.Tensor:
        masker = ChunkMasker(network, Options(mask=False, overlap=overlap))
        seen = masker.block + masker.lookahead
        starts = range(0, spectrum.shape[-1], masker.block)
        pieces = [masker.masks(spectrum[..., start : start + seen], start) for start in starts]
        return torch.cat(pieces, dim=-1)[..., :-1, :]

    with torch.inference_mode():
        whole = network(spectrum.abs()[None, :, :-1])[0]
    apart, faded = ((whole - masks(part)).square().mean() for part in (0.0, overlap))
    assert faded < 0.7 * apart


class Counting:
    """A transcriber that tells what it was given."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.recordings: list[Recording] = []

    def transcribe(self, recording: Recording, options: Options, _: Progress) -> Transcription:
        self.recordings.append(recording)
        return Transcription((Hit(0.25, Drum.KICK, 1.0),), recording.duration, "counting")


@pytest.mark.parametrize("rate", [44100, 22050])
def test_a_transcriber_hears_the_recording_at_its_own_rate(network: LarsNet, rate: int) -> None:
    transcriber = Counting(rate)
    separator = Separator(LarsNetModel(network, "toy", transcriber))
    stream = separator.stream(drum_loop(0.5))
    assert stream.transcription.origin == "counting"
    assert not stream.warnings
    (heard,) = transcriber.recordings
    assert (heard.rate, heard.duration) == (rate, 0.5)
    assert separator.transcribe(drum_loop(0.5)) == stream.transcription


def test_without_a_transcriber_hits_are_onsets_in_the_stems(network: LarsNet) -> None:
    done: list[float] = []
    separator = Separator(LarsNetModel(network, "toy"))
    stream = separator.stream(drum_loop(0.5), progress=lambda _, part: done.append(part))
    assert stream.transcription.origin == onsets.ORIGIN
    assert stream.transcription.duration == 0.5
    assert stream.warnings == (BY_ONSETS,)
    assert stream.transcription.hits
    assert done == sorted(done) and done[-1] == 1
    assert not stream.kit().one_shots


def test_given_hits_are_taken_as_they_are(network: LarsNet) -> None:
    stream = Separator(LarsNetModel(network, "toy")).stream(drum_loop(0.2), Options(hits=GIVEN))
    assert stream.transcription is GIVEN
    assert not stream.warnings


@pytest.mark.parametrize(
    ("options", "message"),
    [(Options(stems=9), "toy separates 5 stems, not 9"), (Options(adapt=3), "no templates.*3")],
)
def test_what_masks_cannot_do_is_refused(network: LarsNet, options: Options, message: str) -> None:
    model = LarsNetModel(network, "toy")
    with pytest.raises(DrumsepError, match=message):
        Separator(model).stream(drum_loop(0.1), options, no_progress)
