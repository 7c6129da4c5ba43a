"""The published IDM, stage by stage, against numbers of its own code (`shared/reference/idm`).

Every stage is fed the stored input, noise included, so that an error cannot hide behind another.
Limits are those of the goldens' README; the published code itself differs by 130 dB between one
thread and two.
"""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from drumsep.drums import DRUMS, STEMS, Drum
from drumsep.idm import listening
from drumsep.idm.listening import Heard, listen
from drumsep.idm.model import MASK_BLOCK, SequenceMasker
from drumsep.idm.network import Dimensions, Idm, from_state, mel_filters
from drumsep.idm.official import TO_OURS, TO_THEIRS, check_description, convert
from drumsep.idm.picking import find_hits
from drumsep.idm.sequencing import Onset, Sequenced, onset_sample
from drumsep.masking import masked_stems, spectral_blocks
from drumsep.recording import Recording, survey
from drumsep.results import Audio, Samples, no_progress

pytestmark = pytest.mark.reference

CPU = torch.device("cpu")
STRIDE = slice(None, None, 64)  # frames of the encoder's inner stages that are stored
THEIR_STEMS = ("cymbals", "hihat", "kick", "snare", "toms")
FIVE = {drum: THEIR_STEMS.index(drum.stem) for drum in DRUMS}
NINE = {drum: TO_OURS[drum.position] for drum in DRUMS}

Goldens = dict[str, np.ndarray]


def decibels(ours: np.ndarray, golden: np.ndarray) -> float:
    error = np.square(np.asarray(ours, np.float64) - golden).sum()
    return float(10 * np.log10(np.square(golden, dtype=np.float64).sum() / max(error, 1e-30)))


@pytest.fixture(scope="module")
def folder(reference: Path) -> Path:
    return reference / "idm"


@pytest.fixture(scope="module")
def goldens(folder: Path) -> Goldens:
    return dict(np.load(folder / "goldens.npz"))


@pytest.fixture(scope="module")
def network(folder: Path) -> Idm:
    checkpoint = torch.load(
        folder / "val-epoch=518-global_step=0.ckpt", map_location="cpu", weights_only=True
    )
    assert len(checkpoint["state_dict"]) == 330
    state, metadata = convert(checkpoint["state_dict"])
    check_description((folder / "model.yaml").read_text(), Dimensions())
    return from_state(state, metadata)


@pytest.fixture(scope="module")
def mix(folder: Path) -> Recording:
    """The mixture as it is in its file: the goldens were made without normalisation."""
    samples, rate = soundfile.read(folder / "mix.wav", dtype="float32")
    return Recording(Audio(samples[None], rate), np.ones(1), peak=1.0, cancels=False)


@pytest.fixture(scope="module")
def log_mel(network: Idm, mix: Recording) -> torch.Tensor:
    _, spectrum = next(spectral_blocks(mix, network.dimensions.stft, 4000, 0, CPU))
    return network.log_mel(spectrum)


@pytest.fixture(scope="module")
def heard(network: Idm, mix: Recording) -> Heard:
    return listen(network, mix, no_progress)


@pytest.fixture(scope="module")
def onsets(goldens: Goldens) -> list[Onset]:
    """The published hits on the frames they were truncated to, in order of time."""
    picked = zip(goldens["onset_frame_official"], goldens["peak_class"], strict=True)
    return [
        (256 * int(frame), float(goldens["velocity"][track, frame]), DRUMS[TO_THEIRS[track]])
        for frame, track in sorted(picked)
    ]


@pytest.fixture(scope="module")
def tracks(goldens: Goldens) -> dict[Drum, Samples]:
    """The stored one-shots at the level of their tracks."""
    return {drum: goldens["gains"][k] * goldens["oneshots"][k] for drum, k in NINE.items()}


def test_the_published_network_has_the_default_dimensions(network: Idm) -> None:
    assert network.dimensions == Dimensions()
    learned = sum(parameter.numel() for parameter in network.parameters())
    assert learned == 541_938
    torch.testing.assert_close(network.mel_filters, mel_filters(Dimensions()), atol=1.1e-5, rtol=0)


@torch.inference_mode()
def test_encoder(network: Idm, log_mel: torch.Tensor, goldens: Goldens) -> None:
    assert decibels(log_mel[0].T[::2].numpy(), goldens["logmel"]) > 100
    encoder = network.encoder
    image = encoder.enter_norm(encoder.enter(log_mel[None]))
    for level, blocks in enumerate(encoder.levels):
        if level > 0:
            image = encoder.halvings[level - 1](image)
        assert decibels(image[0, ..., STRIDE], goldens[f"down{level}_every64"]) > 90
        image = blocks(image)
        assert decibels(image[0, ..., STRIDE], goldens[f"stage{level}_every64"]) > 90
    assert decibels(network.features(log_mel)[0], goldens["features"]) > 90


@torch.inference_mode()
def test_heads(network: Idm, goldens: Goldens) -> None:
    features = torch.from_numpy(goldens["features"])[None]
    curves = network.hit_curves(features)
    assert decibels(curves.onset_logits[0].numpy(), goldens["onset_logits"][TO_OURS]) > 90
    assert decibels(curves.amplitudes[0].numpy(), goldens["velocity"][TO_OURS]) > 90
    mean = network.kit_features(features).mean(dim=1)
    assert decibels(network.kit_head(mean)[0].numpy(), goldens["kit_logits"]) > 90
    assert decibels(network.kit(mean)[0].numpy(), goldens["kit_embedding"]) > 90
    assert decibels(network.gains(features.mean(dim=1))[0], goldens["gains"][TO_OURS]) > 90


def test_peaks(goldens: Goldens) -> None:
    probabilities = torch.from_numpy(goldens["onset_logits"][TO_OURS]).sigmoid().numpy()
    hits = find_hits(probabilities, goldens["velocity"][TO_OURS], (44100, 256), {})
    ours = sorted((NINE[hit.drum], onset_sample(hit, 44100) // 256) for hit in hits)
    theirs = zip(goldens["peak_class"].tolist(), goldens["peak_frame"].tolist(), strict=True)
    assert ours == sorted(theirs)


def test_listening_is_all_of_it(
    heard: Heard, network: Idm, mix: Recording, goldens: Goldens
) -> None:
    assert decibels(heard.amplitudes, goldens["velocity"][TO_OURS]) > 90
    assert decibels(heard.kit[0].numpy(), goldens["kit_embedding"]) > 90
    assert decibels(heard.gains, goldens["gains"][TO_OURS]) > 90
    hits = find_hits(heard.onsets, heard.amplitudes, (44100, 256), {})
    ours = sorted((NINE[hit.drum], onset_sample(hit, 44100) // 256) for hit in hits)
    theirs = zip(goldens["peak_class"].tolist(), goldens["peak_frame"].tolist(), strict=True)
    assert ours == sorted(theirs)


def test_listening_in_small_chunks_hears_the_same(
    heard: Heard, network: Idm, mix: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "CHUNK", 256)
    pieces = listen(network, mix, no_progress)
    assert decibels(pieces.onsets, heard.onsets) > 100
    assert decibels(pieces.amplitudes, heard.amplitudes) > 100
    torch.testing.assert_close(pieces.kit, heard.kit)
    np.testing.assert_allclose(pieces.gains, heard.gains, rtol=1e-5)


@torch.inference_mode()
def test_conditioning(network: Idm, goldens: Goldens) -> None:
    synthesis = network.synthesis
    kit = torch.from_numpy(goldens["kit_embedding"])
    for drum, track in NINE.items():
        condition = synthesis.condition(kit, drum)
        film = np.stack([block.modulation(condition) for block in synthesis.blocks])
        assert decibels(film, goldens["film"][:, track]) > 100
        assert synthesis.decay_rate(kit, drum).item() == pytest.approx(
            goldens["env_alpha"][track], rel=1e-5
        )


@torch.inference_mode()
def test_one_shots(network: Idm, goldens: Goldens) -> None:
    """The loudest, whose peak is everyone's measure, and three that differ most in character."""
    loudest = DRUMS[TO_THEIRS[int(goldens["tcn_out_class_absmax"].argmax())]]
    drums = sorted({loudest, Drum.KICK, Drum.HIHAT_OPEN, Drum.CRASH})
    kit = torch.from_numpy(goldens["kit_embedding"])[None]
    noise = torch.from_numpy(goldens["noise"][TO_OURS])[None]
    one_shots = network.synthesis(kit, noise, drums)[0].numpy()
    for drum, one_shot in zip(drums, one_shots, strict=True):
        assert decibels(one_shot, goldens["oneshots"][NINE[drum]]) > 90


def test_sequenced_stems(
    onsets: list[Onset], tracks: dict[Drum, Samples], mix: Recording, goldens: Goldens
) -> None:
    sequenced = Sequenced(onsets, tracks, NINE, mix.frames, mix.rate)
    stems = np.concatenate(list(sequenced.blocks(10_000)), axis=1)
    assert decibels(crop(stems, goldens), goldens["synth9_crop"]) > 100
    seconds = stems[:, : 9 * 44100].reshape(9, 9, 44100).astype(np.float64)
    energies = np.square(seconds).sum(axis=2)
    # Where a stem is silent the published FFT leaves rounding noise.
    np.testing.assert_allclose(energies, goldens["synth9_energy_per_s"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("rows", "alpha", "golden"),
    [
        (NINE, 1.0, "wiener9_a1_crop"),
        (NINE, 2.0, "wiener9_a2_crop"),
        (FIVE, 1.0, "wiener5_a1_crop"),
        (FIVE, 2.0, "wiener5_a2_crop"),
    ],
)
def test_wiener_stems(
    onsets: list[Onset],
    tracks: dict[Drum, Samples],
    mix: Recording,
    goldens: Goldens,
    rows: dict[Drum, int],
    alpha: float,
    golden: str,
) -> None:
    stems = crop(masked(mix, Sequenced(onsets, tracks, rows, mix.frames, mix.rate), alpha), goldens)
    sounding = {rows[drum] for _, _, drum in onsets}
    for row, (stem, expected) in enumerate(zip(stems, goldens[golden], strict=True)):
        if row in sounding:
            assert decibels(stem, expected) > 80
        else:
            assert not stem.any()
            assert np.abs(expected).max() < 1e-6


def masked(mix: Recording, sequenced: Sequenced, alpha: float) -> Samples:
    masker = SequenceMasker(sequenced, Dimensions().stft, alpha, CPU, MASK_BLOCK)
    return np.concatenate(list(masked_stems(mix, masker)), axis=-1)[:, 0]


def test_given_hits(tracks: dict[Drum, Samples], mix: Recording, goldens: Goldens) -> None:
    """Two hits for every drum, far enough apart to survive the published picker."""
    onsets = sorted(
        (256 * int(frame), float(goldens["velocity"][track, frame]), drum)
        for drum, track in NINE.items()
        for frame in goldens["override_frames_effective"][track]
    )
    sequenced = Sequenced(onsets, tracks, NINE, mix.frames, mix.rate)
    stems = masked(mix, sequenced, 1.0)[:, 44100:48510]
    begun = {NINE[drum] for start, _, drum in onsets if start < 48_510}
    for track, golden in enumerate(goldens["override_wiener9_a1_crop"]):
        if track in begun:
            assert decibels(stems[track], golden) > 80
        else:
            assert not stems[track].any()


def crop(stems: np.ndarray, goldens: Goldens) -> np.ndarray:
    start, stop = goldens["crop_samples"]
    return stems[:, start:stop]


def test_analysis_hears_a_peak_of_one(network: Idm, mix: Recording) -> None:
    """Counts of the published code on the mixture scaled to a peak of one, at any level."""
    quiet = survey(Audio(np.float32(0.01) * next(mix.blocks(mix.frames)), mix.rate), mix.rate)
    heard = listen(network, quiet, no_progress)
    hits = find_hits(heard.onsets, heard.amplitudes, (44100, 256), {})
    counts = {stem: sum(hit.drum.stem == stem for hit in hits) for stem in STEMS}
    assert counts == {"kick": 22, "snare": 19, "toms": 0, "hihat": 36, "cymbals": 2}
