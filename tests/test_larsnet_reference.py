"""LarsNet against the published code: five synthetic checkpoints, its numbers at every border."""

import hashlib
import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor
from torch.nn import functional as F

from drumsep import importing
from drumsep.drums import STEMS
from drumsep.dsp import Stft
from drumsep.larsnet.model import ChunkMasker, LarsNetModel
from drumsep.larsnet.network import LarsNet, from_state
from drumsep.larsnet.official import NAMES
from drumsep.masking import spectral_blocks
from drumsep.pickles import read_state
from drumsep.results import Audio, Options, Transcription
from drumsep.separator import Separator

pytestmark = pytest.mark.reference

WAVEFORM = 2e-6  # absolute, of the specification
MASK = 1e-4
NO_HITS = Transcription((), 0.0)
RATE = 44100

Wave = Callable[[np.ndarray, slice], np.ndarray]
"""Seconds since the hit, and which samples of the recording they are -> amplitudes."""


@pytest.fixture(scope="module")
def maker(reference: Path) -> ModuleType:
    """The script that draws the checkpoints from its own seeds."""
    path = reference / "larsnet" / "make_checkpoints.py"
    spec = importlib.util.spec_from_file_location("make_checkpoints", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def goldens(reference: Path) -> dict[str, np.ndarray]:
    with np.load(reference / "larsnet" / "goldens.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def network(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LarsNet]:
    """The five files as a user would import them; inputs heard before are answered from memory."""
    folder = tmp_path_factory.mktemp("published")
    write_checkpoints(maker, folder)
    imported = importing.convert(folder)
    shutil.rmtree(folder)  # 197 MB
    network = from_state(imported.state, imported.metadata)
    answers: dict[bytes, Tensor] = {}

    def remembered(magnitudes: Tensor) -> Tensor:
        key = hashlib.sha256(magnitudes.numpy().tobytes()).digest()
        if key not in answers:
            answers[key] = LarsNet.forward(network, magnitudes)
        return answers[key]

    network.forward = remembered  # type: ignore[method-assign]
    yield network


def write_checkpoints(maker: ModuleType, folder: Path, *options: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["make_checkpoints.py", str(folder), *options])
        maker.main()


def synth(length: int) -> np.ndarray:
    """The stereo signal of the reference's README: a kick, a snare, a hat and a tom by formula."""
    state, noise = 1, np.empty(length)
    for index in range(length):
        state = (1664525 * state + 1013904223) % 2**32
        noise[index] = state / 2**31 - 1
    time = np.arange(length) / RATE

    def hits(first: float, period: float, wave: Wave) -> np.ndarray:
        total = np.zeros(length)
        for onset in np.arange(first, length / RATE, period):
            sounding = slice(*np.searchsorted(time, (onset, onset + 4)))  # then it has faded
            total[sounding] += wave(time[sounding] - onset, sounding)
        return total

    def tone(hertz: float, since: np.ndarray) -> np.ndarray:
        return np.sin(2 * np.pi * hertz * since)

    def kick_wave(since: np.ndarray, _: slice) -> np.ndarray:
        cycles = 50 * since + 3 * (1 - np.exp(-30 * since))
        return np.exp(-9 * since) * np.sin(2 * np.pi * cycles)

    kick = hits(0.05, 0.5, kick_wave)
    snare = hits(0.3, 0.5, lambda t, at: np.exp(-18 * t) * (0.6 * noise[at] + 0.4 * tone(190, t)))
    bright = np.diff(noise, prepend=noise[0]) / 2
    hat = hits(0.05, 0.125, lambda t, at: np.exp(-60 * t) * bright[at])
    tom = hits(0.62, 2.0, lambda t, _: np.exp(-6 * t) * tone(110, t))
    left = 0.60 * kick + 0.35 * snare + 0.12 * hat + 0.15 * tom
    right = 0.55 * kick + 0.25 * snare + 0.30 * hat + 0.35 * tom
    steps = np.clip(np.rint(0.9 * 32767 * np.stack([left, right])), -32768, 32767)
    return (steps / 32768).astype(np.float32)


def separated(network: LarsNet, samples: np.ndarray, **options: object) -> np.ndarray:
    """Stems (5, C, n)."""
    separator = Separator(LarsNetModel(network, "larsnet"))
    chosen = Options(hits=NO_HITS, **options)  # type: ignore[arg-type]
    stems = separator.separate(Audio(samples, RATE), chosen).stems
    return np.stack([stems[name].samples for name in STEMS])


def masks(network: LarsNet, samples: np.ndarray) -> np.ndarray:
    """The masks (5, 2, 2049, T) of all chunks of a recording."""
    masker = ChunkMasker(network, Options(mask=False))
    blocks = spectral_blocks(Audio(samples, RATE), masker.stft, masker.block, 0, masker.device)
    return np.concatenate([masker.masks(block, start) for start, block in blocks], axis=-1)


def crops(stems: np.ndarray, windows: np.ndarray) -> list[np.ndarray]:
    return [stems[..., first:stop] for first, stop in windows]


@pytest.fixture(scope="module")
def demo(reference: Path) -> np.ndarray:
    """The mono demonstration mix, doubled as the published code does with a 1-D tensor."""
    mono, rate = soundfile.read(reference / "idm" / "mix.wav", dtype="float32")
    assert rate == RATE
    return np.stack([mono, mono])


def test_the_checkpoints_are_the_described_ones(maker: ModuleType, network: LarsNet) -> None:
    """The published digest of one stem, and its values where the table says they went."""
    arrays = maker.state("snare")
    published = "1b04907a3181fe041b61b7c06bdeb91801525a293af47eac1793c8a30114bbcf"
    assert maker.digest(arrays) == published
    assert list(arrays) == list(NAMES)
    own = network.state_dict()
    for theirs, name in NAMES.items():
        if name is not None:
            np.testing.assert_array_equal(own[f"snare.{name}"], arrays[theirs])


def test_the_optimiser_state_of_the_published_files_is_left_behind(
    maker: ModuleType, network: LarsNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maker, "STEMS", ("kick",))  # one file: five would be 590 MB
    write_checkpoints(maker, tmp_path, "--extras")
    (file,) = tmp_path.rglob("*.pth")
    assert file.stat().st_size > 110e6
    state = read_state(file)
    assert list(state) == list(NAMES)
    torch.testing.assert_close(state["enc3.conv.bias"], network["kick"].encoders[2].conv.bias.data)


def test_spectrum(goldens: dict[str, np.ndarray]) -> None:
    samples = goldens["synth_x"]
    np.testing.assert_array_equal(samples, synth(44100))
    ((_, spectrum),) = spectral_blocks(
        Audio(samples, RATE), Stft(4096, 1024), 512, 0, torch.device("cpu")
    )
    magnitudes = spectrum.abs()[:, ::16].numpy()
    np.testing.assert_allclose(magnitudes, goldens["synth_mag"], atol=1e-4)
    loud = goldens["synth_mag"] > 0.1
    turned = np.exp(1j * (spectrum.angle()[:, ::16].numpy() - goldens["synth_phase"]))
    np.testing.assert_allclose(turned[loud], 1, atol=1e-3)


@torch.inference_mode()
def test_every_layer(network: LarsNet, goldens: dict[str, np.ndarray]) -> None:
    """Each layer of the kick's U-Net. The sixth activation is not computed: nothing hears it."""
    ((_, spectrum),) = spectral_blocks(
        Audio(goldens["synth_x"], RATE), Stft(4096, 1024), 512, 0, torch.device("cpu")
    )
    net = network["kick"]
    seen: dict[str, Tensor] = {}

    def keep(name: str, module: torch.nn.Module) -> None:
        def hook(_: object, __: object, output: Tensor | tuple[Tensor, Tensor]) -> None:
            seen[name] = (output[1] if isinstance(output, tuple) else output)[0]

        module.register_forward_hook(hook)

    keep("freqbn", net.input_norm)
    for level, encoder in enumerate(net.encoders, start=1):
        keep(f"enc{level}_conv", encoder.conv)
        keep(f"enc{level}_act", encoder)
    keep("enc6_conv", net.bottleneck)
    for level, decoder in enumerate((*net.decoders, net.last_decoder), start=1):
        keep(f"dec{level}", decoder)
    keep("logits", net.mask)
    net(F.pad(spectrum.abs()[None, :, :-1], (0, 512 - spectrum.shape[-1])))

    seen["freqbn"] = seen["freqbn"].transpose(0, 1)[:, ::32, :45:4]
    seen["logits"] = seen["logits"].transpose(1, 2)[:, ::64, ::32]
    for name, output in seen.items():
        if name.startswith(("enc", "dec")):
            output = output.transpose(1, 2)  # ours have the frames first
            halvings = int(name[3]) if name.startswith("enc") else 6 - int(name[3])
            channels, bins, frames = max(1, len(output) // 8), 64 >> halvings, 32 >> halvings
            output = output[::channels, :: max(1, bins), :: max(1, frames)][:, :32, :16]
        expected = goldens[f"mid_{name}"]
        rounding = 3e-6 * np.abs(expected).max()  # of sums in another order
        np.testing.assert_allclose(output, expected, 1e-5, rounding, err_msg=name)


def test_masks(network: LarsNet, goldens: dict[str, np.ndarray], demo: np.ndarray) -> None:
    of_demo = masks(network, demo)
    np.testing.assert_allclose(of_demo[:, :, ::16, ::4], goldens["demo_mask_sub"], atol=MASK)
    patch = of_demo[:, :, 8:72, 100:132]
    np.testing.assert_allclose(patch, goldens["demo_mask_patch"], atol=MASK)
    of_synth = masks(network, goldens["synth_x"])
    np.testing.assert_allclose(of_synth[:, :, ::8, ::2], goldens["synth_mask_sub"], atol=MASK)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain", {"mask": False}),
        ("w1", {}),
        ("w05", {"alpha": 0.5}),
        ("w2", {"alpha": 2.0}),
    ],
)
def test_one_chunk(
    network: LarsNet,
    goldens: dict[str, np.ndarray],
    demo: np.ndarray,
    name: str,
    options: dict[str, object],
) -> None:
    stems = separated(network, goldens["synth_x"], **options)
    if name != "plain":
        (stems,) = crops(stems, goldens["synth_wiener_window"][None])
    np.testing.assert_allclose(stems, goldens[f"synth_{name}"], atol=WAVEFORM)
    if f"demo_{name}" in goldens:
        of_demo = separated(network, demo, **options)
        cut = np.stack(crops(of_demo, goldens["demo_windows"]))
        np.testing.assert_allclose(cut, goldens[f"demo_{name}"], atol=WAVEFORM)
    if name == "plain":
        coarse = of_demo[..., ::64]
        np.testing.assert_allclose(coarse, goldens["demo_plain_dec64"], atol=WAVEFORM)


def test_a_mono_file(network: LarsNet, goldens: dict[str, np.ndarray], demo: np.ndarray) -> None:
    """The published code refuses one; ours gives the mean of what doubling it would give."""
    stems = separated(network, demo[:1].copy())
    cut = np.stack(crops(stems, goldens["demo_windows"]))
    expected = goldens["demo_w1"].mean(axis=2, keepdims=True)
    np.testing.assert_allclose(cut, expected, atol=WAVEFORM)


@pytest.mark.parametrize(("name", "mask"), [("plain", False), ("w1", True)])
def test_the_shortest_published_input(
    network: LarsNet, goldens: dict[str, np.ndarray], name: str, mask: bool
) -> None:
    samples = np.ascontiguousarray(goldens["synth_x"][:, 2205:4254])
    stems = separated(network, samples, mask=mask)
    np.testing.assert_allclose(stems, goldens[f"tiny_{name}"], atol=WAVEFORM)


def test_two_chunks(network: LarsNet, goldens: dict[str, np.ndarray]) -> None:
    """The masks beside the border and the stems across it, plain and filtered."""
    samples = synth(573300)
    edge = masks(network, samples)[:, :, ::32, 500:524]
    np.testing.assert_allclose(edge, goldens["long_mask_edge"], atol=MASK)
    for name, mask in (("plain", False), ("w1", True)):
        stems = separated(network, samples, mask=mask)
        joined = np.concatenate(crops(stems, goldens["long_windows"]), axis=-1)
        np.testing.assert_allclose(joined, goldens[f"long_{name}"], atol=WAVEFORM)
