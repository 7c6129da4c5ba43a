"""Batches: every input has an outcome, whatever happens to the others."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, cast

import pytest
import torch

from drumsep.batch import ON_CPU, Outcome, run_batch
from drumsep.errors import DrumsepError
from drumsep.inputs import Track
from drumsep.outputs import hidden_beside, staged
from drumsep.results import Progress
from drumsep.separator import Separator


@dataclass(frozen=True)
class Loaded:
    """What stands for a separator."""

    device: str
    warnings: tuple[str, ...] = ()

    def warned(self, warning: str) -> "Loaded":
        return Loaded(self.device, (*self.warnings, warning))


@dataclass(frozen=True)
class Copying:
    """Writes a folder per track; some names fail, crash the process or are done already."""

    out: Path

    def open(self, device: str | None = None) -> Separator:
        with (self.out / "opened").open("a") as log:
            log.write(f"{os.getpid()}\n")
        return cast(Separator, Loaded(device or "chosen"))

    def with_batch(self, batch: int) -> "Copying":
        return self

    def finished(self, track: Track) -> dict[str, Any] | None:
        return {"output": "earlier"} if track.title == "done-before" else None

    def staging(self, track: Track) -> Path:
        return hidden_beside(self.out / track.name)

    def run(self, separator: Separator, track: Track, progress: Progress) -> dict[str, Any]:
        folder = self.out / track.name
        with staged(folder, self.staging(track)) as staging:
            (staging / "kick.wav").write_text("whole")
            progress("working", 0.5)
            if track.title == "bad":
                raise DrumsepError(f"{track.path}: not audio")
            if track.title == "interrupted":
                raise KeyboardInterrupt
            if track.title == "crash":
                os._exit(1)
        return {"output": str(folder), "warnings": [*separator.warnings]}


def tracks(*names: str) -> list[Track]:
    return [Track(Path(f"{name}.wav"), PurePath(name)) for name in names]


def statuses(outcomes: Iterator[Outcome]) -> dict[str, str]:
    return {outcome.track.title: outcome.status for outcome in outcomes}


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_bad_file_does_not_stop_the_rest(tmp_path: Path, jobs: int) -> None:
    work = tracks("a", "bad", "done-before", "b", "c")
    found = statuses(run_batch(Copying(tmp_path), work, jobs))
    assert found == {
        "a": "done",
        "bad": "failed",
        "done-before": "skipped",
        "b": "done",
        "c": "done",
    }
    folders = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert folders == {"a", "b", "c"}


def test_the_model_is_loaded_once_per_process(tmp_path: Path) -> None:
    list(run_batch(Copying(tmp_path), tracks(*"abcdef"), jobs=2))
    processes = (tmp_path / "opened").read_text().split()
    assert len(processes) == len(set(processes)) <= 2


def test_nothing_is_loaded_when_all_is_done(tmp_path: Path) -> None:
    assert statuses(run_batch(Copying(tmp_path), tracks("done-before"))) == {
        "done-before": "skipped"
    }
    assert not (tmp_path / "opened").exists()


def test_a_crash_costs_only_the_files_in_flight(tmp_path: Path) -> None:
    outcomes = list(run_batch(Copying(tmp_path), tracks("crash", "a", "b", "c", "d"), jobs=2))
    found = {outcome.track.title: outcome for outcome in outcomes}
    assert found["crash"].status == "failed"
    assert "crash.wav: the process working on it died" in str(found["crash"].error)
    assert len(outcomes) == 5
    assert sum(outcome.status == "done" for outcome in outcomes) >= 3
    assert not hidden_beside(tmp_path / "crash").exists()


def test_an_interruption_leaves_whole_folders_only(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        list(run_batch(Copying(tmp_path), tracks("a", "interrupted", "b")))
    assert {path.name for path in tmp_path.iterdir()} == {"a", "opened"}


def test_progress_is_reported_per_track(tmp_path: Path) -> None:
    seen = []

    def progress(track: Track) -> Progress:
        return lambda stage, fraction: seen.append((track.title, stage, fraction))

    list(run_batch(Copying(tmp_path), tracks("a", "b"), 1, progress))
    assert seen == [("a", "working", 0.5), ("b", "working", 0.5)]


@dataclass(frozen=True)
class OnSmallGpu(Copying):
    """The GPU has memory for short files only, and for the model if `loads`.

    Files that are wide it has memory for as well, two blocks at a time.
    """

    loads: bool = True
    batch: int | None = None

    def with_batch(self, batch: int) -> "OnSmallGpu":
        return replace(self, batch=batch)

    def open(self, device: str | None = None) -> Separator:
        super().open(device)
        if not (device or self.loads):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return cast(Separator, Loaded(device or "cuda"))

    def run(self, separator: Separator, track: Track, progress: Progress) -> dict[str, Any]:
        device = cast(Loaded, separator).device
        too_wide = track.title.startswith("wide") and (self.batch is None or self.batch > 2)
        if device == "cuda" and (too_wide or track.title.startswith("long")):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().run(separator, track, progress) | {"on": device, "batch": self.batch}


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("loads", [True, False])
def test_what_a_gpu_has_no_memory_for_is_done_on_the_cpu(
    tmp_path: Path, jobs: int, loads: bool
) -> None:
    work = tracks("long", "short", "long-too", "bad")
    outcomes = {one.track.title: one for one in run_batch(OnSmallGpu(tmp_path, loads), work, jobs)}
    assert outcomes["bad"].status == "failed" and "not audio" in str(outcomes["bad"].error)
    for title in ("long", "long-too"):
        assert outcomes[title].status == "done"
        assert outcomes[title].report["on"] == "cpu"
        assert outcomes[title].report["warnings"] == [ON_CPU]
    assert outcomes["short"].report["on"] == ("cuda" if loads else "cpu")
    assert outcomes["short"].report["warnings"] == ([] if loads else [ON_CPU])


@pytest.mark.parametrize("jobs", [1, 2])
def test_less_at_a_time_is_tried_before_the_cpu(tmp_path: Path, jobs: int) -> None:
    work = tracks("wide", "wide-too", "short", "long", "at-last")
    outcomes = {one.track.title: one for one in run_batch(OnSmallGpu(tmp_path), work, jobs)}
    for title in ("wide", "wide-too"):
        assert outcomes[title].report["on"] == "cuda"
        assert outcomes[title].report["batch"] in (1, 2)
        assert outcomes[title].report["warnings"] == []
    assert outcomes["long"].report["on"] == "cpu"
    assert outcomes["at-last"].report["on"] == "cuda"


def test_what_was_too_much_once_is_not_tried_again(tmp_path: Path) -> None:
    found = [one.report for one in run_batch(OnSmallGpu(tmp_path), tracks("a", "wide", "b"))]
    assert [report["batch"] for report in found] == [None, 2, 2]


def test_the_model_is_loaded_once_on_the_cpu_as_well(tmp_path: Path) -> None:
    list(run_batch(OnSmallGpu(tmp_path), tracks("long", "long-too", "short")))
    assert len((tmp_path / "opened").read_text().split()) == 2


def test_a_full_memory_of_the_cpu_fails_one_file(tmp_path: Path) -> None:
    class Greedy(Copying):
        def run(self, separator: Separator, track: Track, progress: Progress) -> dict[str, Any]:
            if track.title == "huge":
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return super().run(separator, track, progress)

    found = {one.track.title: one for one in run_batch(Greedy(tmp_path), tracks("huge", "a"))}
    assert found["a"].status == "done"
    assert found["huge"].error == "huge.wav: out of memory on this device"
