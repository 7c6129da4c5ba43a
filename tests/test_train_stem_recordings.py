"""Users' recordings as clips: excerpts are what the files hold, and train like renderings."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from drumsep import weights
from drumsep.drums import DRUM_NAMES, DRUMS, STEMS, Drum
from drumsep.errors import DrumsepError
from drumsep.larsnet.network import Dimensions as LarsNetDimensions
from drumsep.sampled_kits import RATE, read_kits
from drumsep.train import larsnet, transcriber
from drumsep.train.data import Clips, Recipe
from drumsep.train.grooves import read_grooves
from drumsep.train.loop import TrainOptions
from drumsep.train.losses import velocity_loss
from drumsep.train.mixing import HEAVY, NONE, Mix, mix
from drumsep.train.stem_recordings import StemRecording, read_stem_recordings
from drumsep.transcriber.network import Dimensions
from tests.train_data import write_grooves, write_kit, write_recording

TOMS_ROW = Drum.TOM_HIGH.position  # the first drum of the stem
PLAIN = Recipe(seconds=0.5, channels=2, together=False, recorded=1.0, strength=NONE)


def recording(folder: Path, needed: str = "onsets") -> StemRecording:
    (one,) = read_stem_recordings([folder], needed)  # type: ignore[arg-type]
    return one


def stored(folder: Path, stem: str) -> np.ndarray:
    return soundfile.read(folder / "song" / f"{stem}.wav", dtype="float32")[0].T


def clips(folder: Path, recipe: Recipe, recordings: bool = True, seed: int = 0) -> Clips:
    """Clips of kits by formula and of one recording, both written to `folder` if not there yet."""
    if not folder.exists():
        write_kit(folder / "kits", "one")
        write_grooves(folder / "grooves")
        write_recording(folder / "stems")
    kits, grooves = read_kits(folder / "kits"), read_grooves(folder / "grooves")
    own = read_stem_recordings([folder / "stems"], "onsets") if recordings else ()
    return Clips(kits, grooves, recipe, seed, own)


@pytest.mark.parametrize(
    ("names", "row"), [(STEMS, TOMS_ROW), (DRUM_NAMES, Drum.TOM_FLOOR.position), ((), 0)]
)
def test_an_excerpt_is_what_the_files_hold(
    names: tuple[str, ...], row: int, tmp_path: Path
) -> None:
    write_recording(tmp_path, names=names)
    first, length = 10000, RATE
    found = recording(tmp_path).excerpt(first, length, channels=2)
    np.testing.assert_allclose(
        found.mixture, stored(tmp_path, "mixture")[:, first : first + length], atol=1e-6
    )
    sounding = [place for place in range(len(DRUMS)) if found.stems[place].any()]
    stems = [name for name in STEMS if name in names]
    assert len(sounding) == max(len(names), 1)
    if names == STEMS:
        assert [DRUMS[place].stem for place in sounding] == stems
    assert found.onsets.tolist() == [RATE // 2 - first]
    assert (found.drums.tolist(), found.rows.tolist()) == ([Drum.TOM_FLOOR.position], [row])
    assert found.velocities.tolist() == [1.0]
    heard = found.stems[row, :, found.onsets[0] : found.onsets[0] + round(0.03 * RATE)]
    np.testing.assert_allclose(found.levels, [np.sqrt(np.mean(heard**2))], rtol=1e-6)


def test_a_short_recording_ends_in_silence_and_mono_is_the_mean(tmp_path: Path) -> None:
    write_recording(tmp_path, frames=1000)
    found = recording(tmp_path).excerpt(0, 1500, channels=1)
    assert found.stems.shape == (len(DRUMS), 1, 1500) and not found.stems[..., 1000:].any()
    np.testing.assert_allclose(found.stems[0, 0, :1000], stored(tmp_path, "kick").mean(axis=0))


def test_sound_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    write_recording(tmp_path)
    found = recording(tmp_path)
    other = np.full((2 * RATE, 2), 0.25, np.float32)
    soundfile.write(tmp_path / "song/kick.wav", other, RATE, subtype="FLOAT")
    assert (found.excerpt(0, 100, channels=2).stems[0] == 0.25).all()


def test_a_clip_is_its_number_and_seed(tmp_path: Path) -> None:
    first, again, other = (clips(tmp_path / "data", PLAIN, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first[1].mixture, again[1].mixture)
    assert not np.array_equal(first[1].mixture, first[0].mixture)
    assert not np.array_equal(first[1].mixture, other[1].mixture)


def test_a_share_of_the_clips_is_recorded_and_the_others_stay(tmp_path: Path) -> None:
    recipe = replace(PLAIN, recorded=0.4)
    some, none = (clips(tmp_path / "data", recipe, recordings=own) for own in (True, False))
    same = [np.array_equal(some[i].mixture, none[i].mixture) for i in range(60)]
    assert 25 <= sum(same) <= 47


def test_every_part_of_a_recording_comes_up(tmp_path: Path) -> None:
    mixes = [clips(tmp_path / "data", PLAIN)[number] for number in range(40)]
    heard = {drum for one in mixes for drum in one.rendering.drums.tolist()}
    assert heard == {Drum.KICK.position, Drum.TOM_FLOOR.position}


def test_recorded_stems_add_up_after_every_mix(tmp_path: Path) -> None:
    own = clips(tmp_path / "data", replace(PLAIN, plain=0.0, strength=HEAVY))
    for number in range(4):
        mixed = own[number]
        total = mixed.rendering.stems.sum(axis=0) + mixed.residue
        np.testing.assert_allclose(mixed.mixture, total, atol=1e-6)
        assert np.abs(mixed.mixture).max() == pytest.approx(1, abs=1e-4)
        assert len(mixed.prominence) == len(mixed.rendering.onsets)


def test_a_hit_is_as_prominent_as_the_row_it_sounds_in(tmp_path: Path) -> None:
    write_recording(tmp_path, names=())
    rendering = recording(tmp_path).excerpt(0, 2 * RATE, channels=1)
    for seed in range(4):  # each with other gains for kick, which has the mixture, and floor tom
        mixed = mix(rendering, HEAVY, np.random.default_rng(seed))
        np.testing.assert_allclose(mixed.prominence, 1, rtol=1e-4)


def remove(name: str) -> Callable[[Path], None]:
    return lambda song: (song / name).unlink()


def resample(song: Path) -> None:
    soundfile.write(song / "snare.wav", np.zeros((2 * RATE, 2)), 48000)


def shorten(song: Path) -> None:
    soundfile.write(song / "snare.wav", np.zeros((RATE, 2)), RATE)


def spoil(song: Path) -> None:
    (song / "kick.wav").write_text("no sound")


def blur(song: Path) -> None:
    (song / "onsets.csv").write_text("time,stem,velocity\n0.5,toms,100\n")


@pytest.mark.parametrize(
    ("harm", "needed", "message"),
    [
        (remove("toms.wav"), "onsets", "song: no toms; all five stems or all nine drums"),
        (remove("onsets.csv"), "onsets", "song: no onsets.csv, which this training needs"),
        (resample, "stems", "snare.wav has 48000 Hz; training needs 44100 Hz"),
        (shorten, "stems", "snare.wav has 44100 samples, its mixture 88200"),
        (spoil, "stems", "kick.wav: cannot be read"),
        (blur, "onsets", "onsets.csv: no column class"),
    ],
)
def test_what_is_wrong_is_said_before_training(
    harm: Callable[[Path], None], needed: str, message: str, tmp_path: Path
) -> None:
    harm(write_recording(tmp_path) / "song")
    with pytest.raises(DrumsepError, match=message) as caught:
        recording(tmp_path, needed)
    assert "\n" not in str(caught.value)


def test_stems_are_enough_for_larsnet_and_a_mixture_is_not(tmp_path: Path) -> None:
    write_recording(tmp_path / "stems", onsets=None)
    assert not len(recording(tmp_path / "stems", "stems").onsets)
    write_recording(tmp_path / "mixture", names=())
    with pytest.raises(DrumsepError, match="song: no stems"):
        recording(tmp_path / "mixture", "stems")


def test_unknown_velocities_teach_nothing(tmp_path: Path) -> None:
    write_recording(tmp_path, onsets="time,class\n0.5,kick\n")
    found = recording(tmp_path).excerpt(0, RATE, channels=1)
    heard = Mix(found, np.zeros((1, RATE), np.float32), np.ones(1, np.float32))
    onsets, truth, sure = (row[None] for row in transcriber.targets(heard, Dimensions(), 100))
    assert onsets.max() == 1 and truth.max() == 0
    guess = torch.rand(truth.shape, requires_grad=True)
    velocity_loss(guess, truth, onsets, sure).backward()
    assert guess.grad is not None and not guess.grad.any()


@pytest.fixture
def options(tmp_path: Path) -> TrainOptions:
    write_kit(tmp_path / "kits", "one")
    grooves = write_grooves(tmp_path / "grooves")
    stems = write_recording(tmp_path / "my-stems")
    return TrainOptions(
        kits=tmp_path / "kits", grooves=grooves, out=tmp_path / "out", stems=(stems,),
        batch=1, steps=1, workers=0,
    )  # fmt: skip


def test_both_networks_train_on_recordings_and_say_so(options: TrainOptions) -> None:
    toy = Dimensions(bands=32, channels=4, features=16, blocks=3)
    transcriber.train(options, lambda line: None, toy)
    larsnet.train(
        options, lambda line: None, LarsNetDimensions(n_fft=256, hop=64, frames=64, base=2, nets=1)
    )
    for kind in ("transcriber", "larsnet"):
        card = weights.read_card(options.out / f"{kind}.safetensors")
        assert card.source.endswith("one (CC0-1.0) and 1 recordings of my-stems")
