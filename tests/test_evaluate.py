"""Evaluation from a folder of clips to tables, with a toy model and true ceilings."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from typer.testing import CliRunner

from drumsep.cli.evaluate import evaluate
from drumsep.drums import STEMS, Drum
from drumsep.errors import DrumsepError, UsageError
from drumsep.evaluate import cache, estimates, plan, report, run, scores, summary
from drumsep.evaluate.dataset import find_clips, read_hits, read_truth
from drumsep.evaluate.kits import played
from drumsep.evaluate.plan import ALL, METRICS, Oracle, System
from drumsep.evaluate.statistics import Interval, Score, difference, mean, pooled
from drumsep.recording import Recording
from drumsep.results import Audio, Hit, Kit, OneShot, Options, Progress, Transcription
from drumsep.sampled_kits import read_kit
from drumsep.separator import Analysis, Separator

pytest.importorskip("mir_eval")

RATE = 8000
HITS = ((0.1, Drum.KICK, 100), (0.4, Drum.SNARE, 60), (0.6, Drum.KICK, 40), (0.8, Drum.SNARE, 90))
PITCHES = {Drum.KICK: 80, Drum.SNARE: 1500}


class ToyModel:
    """Gives half of the mixture to the first two stems, and hears every hit 30 ms late."""

    name = "toy"
    rate = RATE

    def __init__(self) -> None:
        self.asked: list[Options] = []

    def transcribe(
        self, recording: Recording, options: Options, progress: Progress
    ) -> Transcription:
        late = tuple(Hit(time + 0.03, drum, velocity / 127) for time, drum, velocity in HITS)
        return options.hits or Transcription(late, recording.duration)

    def analyse(self, recording: Recording, options: Options, progress: Progress) -> Analysis:
        self.asked.append(options)
        shares = np.array([0.5, 0.5, 0, 0, 0], np.float32)[:, None, None]
        beep = stroke(Drum.KICK, 1.0)
        drums = Drum.KICK, Drum.RIDE
        return Analysis(
            names=STEMS,
            transcription=self.transcribe(recording, options, progress),
            stems=lambda: (shares * block for block in recording.blocks(1000)),
            kit=lambda: Kit(tuple(OneShot(drum, beep, "synthesised", 1.0) for drum in drums)),
        )


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ToyModel]:
    """A model called "toy"; all others are not there."""
    model = ToyModel()

    def hashes(name: str) -> dict[str, str]:
        if name != "toy":
            raise DrumsepError(f"no model is called {name!r}")
        return {}

    monkeypatch.setattr(estimates, "load", lambda name, device: Separator(model))
    monkeypatch.setattr(cache, "hashes", hashes)
    estimates._opened.cache_clear()
    yield model
    estimates._opened.cache_clear()


def stroke(drum: Drum, level: float) -> Audio:
    time = np.arange(1600) / RATE
    sound = level * np.exp(-30 * time) * np.sin(2 * np.pi * PITCHES[drum] * time)
    return Audio(np.stack([sound, sound]).astype(np.float32), RATE)


def write(path: Path, sound: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound.T, RATE, subtype="FLOAT")


def write_clip(folder: Path, level: float) -> None:
    stems = {name: np.zeros((2, RATE), np.float32) for name in STEMS}
    for time, drum, velocity in HITS:
        sound = stroke(drum, level * velocity / 127).samples
        start = round(time * RATE)
        stems[drum.stem][:, start : start + 1600] += sound
    for name, stem in stems.items():
        write(folder / f"{name}.wav", stem)
    write(folder / "mixture.wav", sum(stems.values()))
    lines = [f"{time},{drum.value},{velocity}" for time, drum, velocity in HITS]
    (folder / "onsets.csv").write_text("\n".join(["time,class,velocity", *lines]) + "\n")
    (folder / "meta.json").write_text('{"kit": "beeps"}')


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two clips with stems, hits and a kit."""
    for number in range(2):
        write_clip(tmp_path / "data" / f"clip{number}", 0.3 + 0.2 * number)
    return tmp_path / "data"


@pytest.fixture
def kits(tmp_path: Path) -> Path:
    """The kit that the clips are played on."""
    classes = {}
    for drum in PITCHES:
        write(tmp_path / "kits" / "beeps" / f"{drum}.wav", stroke(drum, 1.0).samples)
        sample = {"file": f"{drum}.wav", "layer": 0, "rr": 0, "gain_db": 0.0}
        classes[drum.value] = [sample | {"velocity_lo": 1, "velocity_hi": 127}]
    facts = {"classes": classes, "pre_onset_samples": 0, "velocity_exponent": {"default": 1.0}}
    (tmp_path / "kits" / "beeps" / "kit.json").write_text(json.dumps(facts))
    return tmp_path / "kits"


def measured(
    dataset: Path, *systems: System, groups: tuple[str, ...] = plan.DEFAULT_GROUPS, **options: Path
) -> run.Evaluation:
    clips = find_clips(dataset)
    kits, folder = options.get("kits"), options.get("cache")
    trials = [estimates.Trial(system, clip, groups, kits) for system in systems for clip in clips]
    return run.run(trials, 1, folder, lambda done, total, name: None)


def value(results: tuple[scores.ClipResult, ...], metric: str, column: str = ALL) -> float:
    return pooled([summary.clip_score(result, metric, column) for result in results]).value


class TestDataset:
    def test_a_clip_with_all_its_files(self, dataset: Path) -> None:
        clip = find_clips(dataset)[0]
        assert (clip.name, clip.kit, set(clip.stems)) == ("clip0", "beeps", set(STEMS))
        truth = read_truth(clip)
        assert truth.velocities and truth.hits is not None
        assert [hit.drum for hit in truth.hits.hits] == [drum for _, drum, _ in HITS]
        assert [stem for stem in STEMS if truth.sounding[stem]] == ["kick", "snare"]

    def test_without_onsets_energy_tells_which_stems_sound(self, dataset: Path) -> None:
        (dataset / "clip0" / "onsets.csv").unlink()
        (dataset / "clip0" / "meta.json").unlink()
        whisper = np.full((2, RATE), 5e-4, np.float32)
        write(dataset / "clip0" / "toms.wav", whisper)
        truth = read_truth(find_clips(dataset)[0])
        assert [stem for stem in STEMS if truth.sounding[stem]] == ["kick", "snare"]
        assert truth.hits is None

    def test_pairs_of_sound_and_hits(self, tmp_path: Path) -> None:
        write(tmp_path / "song.wav", np.zeros((1, RATE)))
        (tmp_path / "song.csv").write_text("time,stem\n0.5,toms\n0.25,kick\n")
        (clip,) = find_clips(tmp_path)
        truth = read_truth(clip)
        assert clip.name == "song" and not truth.stems and not truth.velocities
        assert truth.hits is not None
        assert [(hit.time, hit.drum.stem) for hit in truth.hits.hits] == [
            (0.25, "kick"),
            (0.5, "toms"),
        ]

    @pytest.mark.parametrize("line", ["soon,kick,1", "0.5,gong,1", "-1,kick,1", "0.5,kick,200"])
    def test_a_bad_line_is_named(self, tmp_path: Path, line: str) -> None:
        path = tmp_path / "onsets.csv"
        path.write_text(f"time,class,velocity\n0.1,kick,100\n{line}\n")
        with pytest.raises(DrumsepError, match=r"onsets\.csv:3: not a hit"):
            read_hits(path)

    def test_what_is_no_dataset(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no clips in"):
            find_clips(tmp_path)
        with pytest.raises(UsageError, match="is none"):
            find_clips(tmp_path / "absent")
        write(tmp_path / "clip" / "mixture.wav", np.zeros((1, 10)))
        with pytest.raises(UsageError, match="neither stems"):
            find_clips(tmp_path)

    def test_a_stem_that_does_not_fit(self, dataset: Path) -> None:
        write(dataset / "clip1" / "kick.wav", np.zeros((1, 10)))
        with pytest.raises(DrumsepError, match=r"kick\.wav: \(1, 10\).*does not fit"):
            read_truth(find_clips(dataset)[1])


class TestScores:
    def test_half_of_the_mixture_by_hand(self, dataset: Path, toy: ToyModel) -> None:
        results = measured(dataset, System("toy")).results
        truth = read_truth(find_clips(dataset)[0])
        kick, snare = (truth.stems[name].samples.astype(float) for name in ("kick", "snare"))
        error = kick - (kick + snare) / 2
        expected = 10 * np.log10(((kick**2).sum() + 1e-7) / ((error**2).sum() + 1e-7))
        assert value(results[:1], "nsdr", "kick") == pytest.approx(expected, abs=1e-4)

    def test_sounding_and_silent_stems_are_kept_apart(self, dataset: Path, toy: ToyModel) -> None:
        (result, _) = measured(dataset, System("toy")).results
        assert {stem for stem in STEMS if "nsdr" in result.shares[stem]} == {"kick", "snare"}
        assert {stem for stem in STEMS if "si_sdr" in result.shares[stem]} == {"kick", "snare"}
        silent = summary.clip_score(result, "nsdr_silent", ALL)
        assert (silent.value, silent.weight) == (pytest.approx(0), 3)

    def test_onsets_thirty_milliseconds_late(self, dataset: Path, toy: ToyModel) -> None:
        results = measured(dataset, System("toy")).results
        assert value(results, "f50") == value(results, "p50") == value(results, "r50") == 1
        assert value(results, "f20") == 0
        assert summary.clip_score(results[0], "f50", "toms").weight == 0

    def test_velocities_of_three_hits_at_least(self, dataset: Path, toy: ToyModel) -> None:
        results = measured(dataset, System("toy")).results
        assert "velocity_r" not in results[0].shares["kick"]
        hits = [Hit(time, Drum.KICK, time) for time in (0.1, 0.5, 0.9)]
        assert scores.velocity_correlation(hits, hits) == pytest.approx(1)

    def test_counts_are_pooled_not_their_quotients(self) -> None:
        few = scores.onset_scores(np.array([1.0]), np.array([5.0]))
        many = scores.onset_scores(np.arange(9.0), np.arange(9.0))
        assert pooled([few["f50"], many["f50"]]).value == pytest.approx(0.9)

    def test_one_shots_against_the_true_kit(self, dataset: Path, kits: Path, toy: ToyModel) -> None:
        results = measured(dataset, System("toy"), groups=("one-shots",), kits=kits).results
        assert value(results, "one_shot", "kick") == pytest.approx(0, abs=0.01)
        assert {stem for stem in STEMS if "one_shot" in results[0].shares[stem]} == {"kick"}

    def test_hits_alone(self, tmp_path: Path, toy: ToyModel) -> None:
        write(tmp_path / "song.wav", np.zeros((1, RATE)))
        (tmp_path / "song.csv").write_text("time,stem\n0.13,kick\n")
        evaluation = measured(tmp_path, System("toy"), System(None, Oracle.MASK))
        (result,) = evaluation.results
        assert result.shares["kick"]["r20"].value == 1
        assert "nsdr" not in result.shares["kick"] and not toy.asked
        assert "needs true stems" in evaluation.failures[0].cause


class TestOracles:
    def test_ceilings_are_above_the_model(self, dataset: Path, kits: Path, toy: ToyModel) -> None:
        ceilings = System(None, Oracle.MASK), System(None, Oracle.KIT)
        evaluation = measured(dataset, System("toy"), *ceilings, kits=kits)
        toy_nsdr, mask, kit = (
            value(evaluation.of(label), "nsdr") for label in ("toy", "oracle mask", "oracle kit")
        )
        assert toy_nsdr < 10 < 20 < mask
        assert kit == pytest.approx(mask, abs=0.01)  # here the kit's samples are the stems

    def test_ideal_stems_add_up_and_silence_stays(self, dataset: Path) -> None:
        truth = read_truth(find_clips(dataset)[0])
        sources = {name: stem.samples for name, stem in truth.stems.items()}
        stems = estimates.ideal_stems(truth.mixture, sources)
        assert not stems["toms"].any()
        assert np.allclose(sum(stems.values()), truth.mixture.samples, atol=1e-4)

    def test_true_onsets_reach_the_model_and_are_not_scored(
        self, dataset: Path, toy: ToyModel
    ) -> None:
        system = System("toy", Oracle.ONSETS, adapt=3, alpha=2, mask=False)
        (result, _) = measured(dataset, system).results
        assert result.system == "toy, adapt 3, alpha 2, no mask, true onsets"
        assert toy.asked[0].hits == read_truth(find_clips(dataset)[0]).hits
        asked = toy.asked[0]
        assert (asked.adapt, asked.alpha, asked.mask) == (3, 2, False)
        assert "f50" not in result.shares["kick"]

    def test_a_kit_plays_the_nearest_drum_it_has(self, kits: Path) -> None:
        like = Audio(np.zeros((2, RATE), np.float32), RATE)
        kit = read_kit(kits / "beeps", channels=2, rate=RATE)
        assert not played(kit, [Hit(0.1, Drum.RIDE, 1)], like)["cymbals"].any()
        kick = played(kit, [Hit(0.9, Drum.KICK, 0.5)], like)["kick"]
        assert np.allclose(kick[:, 7200:], 0.5 * stroke(Drum.KICK, 1).samples[:, :800], atol=1e-6)
        with pytest.raises(DrumsepError, match="does not describe a kit"):
            read_kit(kits)

    @pytest.mark.reference
    def test_the_published_ceiling(self, shared: Path) -> None:
        # The first two of twenty clips; all of them give 15.04 dB, as in the first experiments.
        clips = find_clips(shared / "data" / "eval-dev")[:2]
        trials = [
            estimates.Trial(System(None, Oracle.MASK), clip, ("nsdr",), None) for clip in clips
        ]
        results = run.run(trials, 1, None, lambda done, total, name: None).results
        assert value(results, "nsdr") == pytest.approx(16.76, abs=0.01)


class TestStatistics:
    def test_the_same_draws_every_time(self) -> None:
        clips = [Score(x, 1) for x in (1.0, 2.0, 5.0, 9.0)]
        assert mean(clips) == mean(clips)
        assert mean(clips).low < mean(clips).value == 4.25 < mean(clips).high

    def test_intervals_cover_the_truth_as_often_as_they_say(self) -> None:
        rng = np.random.default_rng(1)
        sets = [[Score(x, 1) for x in rng.normal(size=40)] for _ in range(200)]
        covered = np.mean([mean(clips).low <= 0 <= mean(clips).high for clips in sets])
        assert 0.89 <= covered <= 0.99

    def test_weightless_clips_do_not_count(self) -> None:
        found = mean([Score(3, 1), Score(0, 0), Score(5, 1)])
        assert (found.value, found.clips) == (4, 2)
        assert np.isnan(mean([]).value) and mean([Score(0, 0)]).clips == 0

    def test_a_system_does_not_differ_from_itself(self) -> None:
        clips = [Score(x, 1) for x in (1.0, 2.0, 5.0)]
        found = difference(clips, clips)
        assert (found.interval.low, found.interval.value, found.interval.high) == (0, 0, 0)
        assert found.p == 1

    def test_pairing_finds_a_small_steady_gain(self) -> None:
        rng = np.random.default_rng(0)
        first = rng.normal(10, 5, 20)
        second = first + 0.5 + rng.normal(0, 0.2, 20)
        scored = [[Score(x, 1) for x in values] for values in (first, second)]
        assert mean(scored[1]).low < mean(scored[0]).value  # the intervals overlap by far
        found = difference(*scored)
        assert 0.3 < found.interval.low < found.interval.high < 0.7
        assert found.p < 0.01


class TestCache:
    def test_nothing_is_measured_twice(self, dataset: Path, tmp_path: Path, toy: ToyModel) -> None:
        first = measured(dataset, System("toy"), cache=tmp_path / "cache")
        again = measured(dataset, System("toy"), cache=tmp_path / "cache")
        assert (first.remembered, again.remembered, len(toy.asked)) == (0, 2, 2)
        assert first.results == again.results

    def test_what_changes_is_measured_anew(
        self, dataset: Path, tmp_path: Path, toy: ToyModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def remembered(system: System, **options: tuple[str, ...]) -> int:
            return measured(dataset, system, cache=tmp_path / "cache", **options).remembered

        remembered(System("toy"))
        assert remembered(System("toy", alpha=1)) == 0
        assert remembered(System("toy"), groups=("nsdr",)) == 0
        write_clip(dataset / "clip1", 0.1)
        assert remembered(System("toy")) == 1
        monkeypatch.setattr(cache, "_code_version", lambda: "another")
        assert remembered(System("toy")) == 0

    def test_a_damaged_memory_is_no_memory(
        self, dataset: Path, tmp_path: Path, toy: ToyModel
    ) -> None:
        measured(dataset, System("toy"), cache=tmp_path / "cache")
        for path in (tmp_path / "cache").iterdir():
            path.write_text("{")
        assert measured(dataset, System("toy"), cache=tmp_path / "cache").remembered == 0


class TestCommand:
    @pytest.fixture(autouse=True)
    def _own_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))

    @staticmethod
    def invoke(*arguments: object) -> tuple[int, str, str, BaseException | None]:
        app = typer.Typer()
        app.command()(evaluate)
        result = CliRunner().invoke(app, [*map(str, arguments), "--jobs", "1"])
        return result.exit_code, result.stdout, result.stderr, result.exception

    def test_json_lines(self, dataset: Path, toy: ToyModel) -> None:
        code, out, err, _ = self.invoke(dataset, "-m", "toy", "--oracle", "mask", "--json")
        lines = [json.loads(line) for line in out.splitlines()]
        assert code == 0
        assert [line["kind"] for line in lines] == [*["clip"] * 4, *["summary"] * 2, "comparison"]
        assert set(lines[0]) == {"kind", "system", "clip", "duration", "seconds", "stems"}
        assert set(lines[0]["stems"]) == {*STEMS, ALL}
        assert lines[0]["stems"]["toms"]["sounding"] is False
        keys = {metric.key for metric in METRICS} | {"sounding"}
        assert all(set(stem) <= keys for stem in lines[0]["stems"].values())
        assert set(lines[4]["means"]["nsdr"]["all"]) == {"value", "low", "high", "clips"}
        assert lines[6]["differences"]["nsdr"]["interval"]["value"] > 0
        assert "[4/4] oracle mask: clip1" in err

    def test_csv(self, dataset: Path, toy: ToyModel) -> None:
        code, out, _, _ = self.invoke(dataset, "-m", "toy", "--csv", "--limit", 1, "--quiet")
        rows = list(csv.DictReader(io.StringIO(out)))
        assert code == 0 and [line["stem"] for line in rows] == [*STEMS, ALL]
        assert float(rows[0]["nsdr"]) > 0 and rows[2]["nsdr"] == ""
        assert float(rows[5]["f50"]) == 1

    @pytest.mark.parametrize("style", ["--markdown", None])
    def test_tables(self, dataset: Path, toy: ToyModel, style: str | None) -> None:
        style = [style] if style else []
        code, out, _, _ = self.invoke(dataset, "-m", "toy", "--oracle", "mask", *style)
        assert code == 0
        assert "toy: 2 clips" in out and "oracle mask minus toy: 2 clips" in out
        assert ("| nSDR, dB |" in out) == bool(style)

    def test_a_failed_clip_does_not_stop_the_others(self, dataset: Path, toy: ToyModel) -> None:
        (dataset / "clip0" / "snare.wav").write_bytes(b"no sound")
        code, out, err, _ = self.invoke(dataset, "-m", "toy", "--json")
        assert code == 1
        assert json.loads(out.splitlines()[0])["clip"] == "clip1"
        assert "failed: toy: clip0: " in err and "snare.wav" in err

    @pytest.mark.parametrize(
        ("arguments", "cause"),
        [
            (["--json", "--csv"], "exclude each other"),
            (["--metrics", "loudness"], "unknown metrics 'loudness': give some of nsdr"),
            (["--oracle", "kit"], "need --kits"),
            (["-m", "unheard-of"], "no model is called 'unheard-of'"),
            (["-m", "toy", "--alpha", "3"], "alpha must be"),
        ],
    )
    def test_usage(self, dataset: Path, toy: ToyModel, arguments: list[str], cause: str) -> None:
        *_, error = self.invoke(dataset, *arguments)
        assert isinstance(error, UsageError) and cause in str(error)
        assert not toy.asked

    def test_a_missing_library_leaves_its_columns_out(
        self, dataset: Path, toy: ToyModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(plan, "find_spec", lambda name: None)
        code, out, err, _ = self.invoke(dataset, "-m", "toy", "--json", "--metrics", "nsdr,onsets")
        assert code == 0
        assert "note: without mir_eval no onsets" in err
        assert set(json.loads(out.splitlines()[-1])["means"]) == {"nsdr", "nsdr_silent"}


def test_processes_share_the_clips(dataset: Path) -> None:
    trials = [
        estimates.Trial(System(None, Oracle.MASK), c, ("nsdr",), None) for c in find_clips(dataset)
    ]
    told: list[int] = []
    shared_out = run.run(trials, 2, None, lambda done, total, name: told.append(done))
    alone = run.run(trials, 1, None, lambda done, total, name: None)
    assert [one.shares for one in shared_out.results] == [one.shares for one in alone.results]
    assert told == [1, 2]


def test_a_grid_is_drawn_in_markdown() -> None:
    grid = report.Grid("title", ("", "all"), (("nSDR, dB", "1.00"),))
    assert report.markdown(grid) == "**title**\n\n|  | all |\n| --- | ---: |\n| nSDR, dB | 1.00 |\n"


def test_shares_have_three_decimals_and_decibels_two() -> None:
    whole = {ALL: Interval(0.9476, 0.93, 0.97, 20)}
    made = summary.Summary("toy", 20, 0.1, {"nsdr": whole, "f50": whole})
    (grid,) = report.grids([made], [])
    assert [row[-2:] for row in grid.rows] == [
        ("0.95", "0.93 .. 0.97"),
        ("0.948", "0.930 .. 0.970"),
    ]
