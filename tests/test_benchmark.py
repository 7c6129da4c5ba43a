"""The benchmark: its made-up drums, its measurements, its command."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from typer.testing import CliRunner

from drumsep import benchmark, loading
from drumsep.benchmark import Job, MadeUpDrums, Measurement, measure, measured, write_drums
from drumsep.cli.benchmark import benchmark as command
from drumsep.drums import STEMS
from drumsep.errors import DrumsepError, UsageError
from drumsep.recording import Recording
from drumsep.results import Kit, Options, Progress, Transcription
from drumsep.separator import Analysis, Separator

RESULT = Measurement("toy", "cpu", 1, 10.0, 0.5, 0.1, 0.2, 0.1, 0.3, 12.0)


class ToyModel:
    """Every stem is a fifth of the mixture."""

    name = "toy"
    rate = 44100

    def transcribe(
        self, recording: Recording, options: Options, progress: Progress
    ) -> Transcription:
        return Transcription((), recording.duration)

    def analyse(self, recording: Recording, options: Options, progress: Progress) -> Analysis:
        return Analysis(
            names=STEMS,
            transcription=self.transcribe(recording, options, progress),
            stems=lambda: (np.stack([block / 5] * 5) for block in recording.blocks(5000)),
            kit=lambda: Kit(()),
        )


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "load", lambda name, device: Separator(ToyModel()))


class TestMadeUpDrums:
    def test_length_level_and_block_size(self) -> None:
        drums = MadeUpDrums(4.5)
        blocks = list(drums.blocks(10_000))
        sound = np.concatenate(blocks, axis=1)
        assert sound.shape == (2, drums.frames) == (2, 198_450)
        assert max(block.shape[1] for block in blocks) == 10_000
        assert sound.dtype == np.float32 and 0.2 < np.abs(sound).max() < 1

    def test_the_same_whatever_the_blocks_and_each_time(self) -> None:
        drums = MadeUpDrums(3.0)
        small, large = (np.concatenate(list(drums.blocks(n)), axis=1) for n in (777, 1 << 20))
        assert np.array_equal(small, large)

    def test_no_two_bars_are_alike(self) -> None:
        (sound,) = (np.concatenate(list(MadeUpDrums(8.0).blocks(1 << 20)), axis=1),)
        bars = sound.reshape(2, 4, -1)
        for bar in range(1, 4):
            assert abs(np.corrcoef(bars[0, 0], bars[0, bar])[0, 1]) < 0.9


class TestMeasure:
    def test_stages_of_a_file(self, toy: None, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "loop.wav", np.full((22050, 2), 0.25), 22050)
        found = measure(Job("toy", tmp_path / "loop.wav", "cpu"))
        assert (found.model, found.device, found.sound_s) == ("toy", "cpu", 1.0)
        assert min(found.load_s, found.analyse_s, found.stems_s, found.write_s) >= 0
        assert found.added_mb is None or found.added_mb >= 0

    def test_medians_number_by_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        runs = iter([(3.0, 1.0), (1.0, 9.0), (2.0, 5.0)])

        def one(job: Job) -> Measurement:
            load, added = next(runs)
            return Measurement("toy", "cpu", 1, 10.0, load, 0, 0, 0, 0, added)

        monkeypatch.setattr(benchmark, "_in_fresh_process", one)
        found = measured(Job("toy", Path("loop.wav")), runs=3)
        assert (found.load_s, found.added_mb, found.model) == (2.0, 5.0, "toy")

    def test_a_fresh_process_reports_its_error(self, tmp_path: Path) -> None:
        file = write_drums(tmp_path / "drums.wav", 0.1)
        with pytest.raises(DrumsepError, match="no model is called 'unheard-of'"):
            measured(Job("unheard-of", file))

    def test_the_ratio_leaves_loading_out(self) -> None:
        assert RESULT.ratio == pytest.approx(0.04)
        assert RESULT.facts()["ratio"] == 0.04


class TestCommand:
    @pytest.fixture(autouse=True)
    def _results(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fake(job: Job, runs: int) -> Measurement:
            if job.model == "broken":
                raise DrumsepError("weights are damaged")
            return RESULT

        monkeypatch.setattr(benchmark, "measured", fake)
        monkeypatch.setattr(loading, "installed_models", lambda: ("toy", "broken"))

    @staticmethod
    def invoke(*arguments: str) -> tuple[int, str, str, BaseException | None]:
        app = typer.Typer()
        app.command()(command)
        result = CliRunner().invoke(app, arguments)
        return result.exit_code, result.stdout, result.stderr, result.exception

    def test_json(self) -> None:
        code, out, err, _ = self.invoke("-m", "toy", "--seconds", "0.1,0.2", "--json")
        lines = [json.loads(line) for line in out.splitlines()]
        assert code == 0 and len(lines) == 2
        assert lines[0]["added_mb"] == 12.0
        assert set(benchmark.environment()) < set(lines[0])
        assert "[2/2] toy: 0.2s.wav" in err

    def test_table_of_all_installed_models_with_one_that_fails(self) -> None:
        code, out, err, _ = self.invoke("--seconds", "0.1")
        assert code == 1
        assert "failed: broken: 0.1s.wav: weights are damaged" in err
        assert "0.0400" in out and "cpu, 1 threads" in out and "torch 2" in out

    @pytest.mark.parametrize("lengths", ["", "ten", "10,-1"])
    def test_usage(self, lengths: str) -> None:
        *_, error = self.invoke("--seconds", lengths)
        assert isinstance(error, UsageError) and "--seconds takes" in str(error)
        *_, error = self.invoke("absent.wav")
        assert isinstance(error, UsageError) and "no such file" in str(error)
