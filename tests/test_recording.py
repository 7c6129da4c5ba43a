"""What a model listens to: the right rate, one channel, a peak of one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drumsep.recording import survey
from drumsep.resample import Resampled, at_rate, resampled
from drumsep.results import Audio
from tests.conftest import drum_loop


@pytest.mark.parametrize("gain", [1e-4, 0.1, 1.0, 30.0])
def test_the_level_of_the_input_makes_no_difference(gain: float) -> None:
    loop = drum_loop()
    louder = Audio((gain * loop.samples).astype(np.float32), loop.rate)
    mono = survey(louder, 44100).mono()
    assert np.abs(mono).max() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(mono, survey(loop, 44100).mono(), atol=1e-5)


def test_stereo_is_heard_as_the_mean_of_its_channels() -> None:
    loop = drum_loop()
    recording = survey(loop, 44100)
    mean = loop.samples.mean(axis=0)
    np.testing.assert_allclose(recording.mono(), mean / np.abs(mean).max(), atol=1e-6)
    assert not recording.cancels


def test_channels_that_cancel_are_heard_one_at_a_time() -> None:
    one = drum_loop(channels=1).samples[0]
    recording = survey(Audio(np.stack([0.5 * one, -one, 0.5 * one]), 44100), 44100)
    assert recording.cancels
    np.testing.assert_allclose(recording.mono(), -one / np.abs(one).max(), atol=1e-6)


@pytest.mark.parametrize("frames", [0, 1, 1000])
def test_silence_stays_silent(frames: int) -> None:
    recording = survey(Audio(np.zeros((2, frames), np.float32), 44100), 44100)
    assert recording.peak == 0
    np.testing.assert_array_equal(recording.mono(), np.zeros(frames, np.float32))


@settings(max_examples=30, deadline=None)
@given(
    frames=st.integers(0, 20_000),
    old=st.sampled_from([8000, 22050, 48000, 96000, 192000]),
    size=st.integers(100, 5000),
)
def test_to_the_models_rate_and_back_keeps_the_length(frames: int, old: int, size: int) -> None:
    source = Audio(np.ones((2, frames), np.float32), old)
    there = Resampled(source, 44100)
    blocks = list(there.blocks(size))
    assert sum(block.shape[-1] for block in blocks) == there.frames
    back = resampled(iter(blocks), 44100, old, frames)
    assert sum(block.shape[-1] for block in back) == frames


def test_resampling_in_blocks_is_resampling_at_once() -> None:
    loop = drum_loop(rate=48000)
    pieces = np.concatenate(list(Resampled(loop, 44100).blocks(999)), axis=-1)
    whole = np.concatenate(list(Resampled(loop, 44100).blocks(10**9)), axis=-1)
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


def test_a_tone_keeps_its_pitch_and_level() -> None:
    time = np.arange(48000) / 48000
    tone = Audio(np.sin(2 * np.pi * 1000 * time)[None].astype(np.float32), 48000)
    heard = np.concatenate(list(Resampled(tone, 44100).blocks(4096)), axis=-1)[0]
    expected = np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100)
    np.testing.assert_allclose(heard[500:-500], expected[500:-500], atol=1e-4)


def test_the_right_rate_is_left_alone() -> None:
    loop = drum_loop()
    assert at_rate(loop, 44100) is loop
