"""Many files with one model: in this process, or spread over several that each load it once.

One bad file never stops the rest; even a crash of the decoder costs only the files that were being
worked on; what the GPU has no memory for is done in smaller pieces, and then on the CPU. An
interruption leaves whole files only: unfinished folders are removed.
"""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from drumsep.errors import DrumsepError, UsageError
from drumsep.inputs import Track
from drumsep.results import Progress, no_progress
from drumsep.separator import Separator

ON_CPU = "the GPU's memory was too small: this was computed on the CPU"


@dataclass(frozen=True)
class Outcome:
    """What became of one input file."""

    track: Track
    status: Literal["done", "skipped", "failed"]
    report: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


class Task(Protocol):
    """Work that is the same for every file; must be picklable, so it holds settings only."""

    def open(self, device: str | None = None) -> Separator:
        """Load the model; a device given here replaces the one that was chosen."""

    def with_batch(self, batch: int) -> "Task":
        """The same work with so many blocks at once (`Options.batch`)."""

    def finished(self, track: Track) -> dict[str, Any] | None:
        """The report of an earlier run whose results can stand, else None."""

    def run(self, separator: Separator, track: Track, progress: Progress) -> dict[str, Any]:
        """Work on one file, write its results, and return what to report.

        Raises:
            DrumsepError: this file cannot be done; nothing of it is left half-written.
        """

    def staging(self, track: Track) -> Path:
        """Where unfinished results of this file lie, to be removed when its worker dies."""


def run_batch(
    task: Task,
    tracks: Sequence[Track],
    jobs: int = 1,
    progress: Callable[[Track], Progress] = lambda track: no_progress,
) -> Iterator[Outcome]:
    """Yield an outcome per track as it is done; with one job in order, else as they finish.

    Args:
        task: the work.
        tracks: input files.
        jobs: processes; 1 works in this one and reports progress within a file.
        progress: gives the progress callable for a track, for one job.
    """
    left = []
    for track in tracks:
        earlier = task.finished(track)
        if earlier is None:
            left.append(track)
        else:
            yield Outcome(track, "skipped", earlier)
    if jobs == 1 or len(left) < 2:
        yield from _run_here(task, left, progress)
    else:
        yield from _run_in_processes(task, left, min(jobs, len(left)))


def _run_here(
    task: Task, tracks: Sequence[Track], progress: Callable[[Track], Progress]
) -> Iterator[Outcome]:
    if not tracks:
        return
    worker = _Worker(task)
    for track in tracks:
        yield worker.attempt(track, progress(track))


class _Worker:
    """A task and its model; where a GPU has too little memory, also a second one on the CPU.

    Before that fewer blocks are tried at once; the number that was too much for one file is too
    much for the next.
    """

    def __init__(self, task: Task) -> None:
        import torch

        from drumsep.devices import GPU_BATCH

        self.task = task
        self._smaller = [1 << power for power in range(GPU_BATCH.bit_length() - 1)]
        self._separator: Separator | None = None
        with suppress(torch.OutOfMemoryError):
            self._separator = task.open()

    @cached_property
    def _on_cpu(self) -> Separator:
        return self.task.open("cpu").warned(ON_CPU)

    def attempt(self, track: Track, progress: Progress) -> Outcome:
        """Work on one file, whatever becomes of it."""
        try:
            return Outcome(track, "done", self._run(track, progress))
        except UsageError:  # no file can be done like this: stop at once
            raise
        except DrumsepError as error:
            return Outcome(track, "failed", error=str(error))
        except (MemoryError, RuntimeError) as error:
            # torch reports a full memory as a RuntimeError.
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            return Outcome(track, "failed", error=f"{track.path}: out of memory on this device")

    def _run(self, track: Track, progress: Progress) -> dict[str, Any]:
        import torch

        while self._separator is not None:
            with suppress(torch.OutOfMemoryError):
                return self.task.run(self._separator, track, progress)
            # The error is gone by now, and with it what it held in the GPU's memory.
            if not self._smaller:
                break
            self.task = self.task.with_batch(self._smaller.pop())
        return self.task.run(self._on_cpu, track, progress)


def _run_in_processes(task: Task, tracks: Sequence[Track], jobs: int) -> Iterator[Outcome]:
    waiting = list(reversed(tracks))
    while waiting:
        in_flight: dict[Future[Outcome], Track] = {}
        try:
            with _pool(task, jobs) as pool:
                while waiting or in_flight:
                    while waiting and len(in_flight) < jobs:
                        track = waiting.pop()
                        in_flight[pool.submit(_attempt_in_worker, track)] = track
                    done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
                    for future in done:
                        outcome = future.result()
                        del in_flight[future]
                        yield outcome
        except BrokenProcessPool:
            for track in in_flight.values():
                cause = f"{track.path}: the process working on it died"
                yield Outcome(track, "failed", error=cause)
        finally:
            _remove_unfinished(task, in_flight.values())


@contextmanager
def _pool(task: Task, jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool that is killed, not waited for, when the block ends in an error or interruption."""
    # "spawn": a forked copy of a process that has used torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = ProcessPoolExecutor(jobs, context, _start_worker, (task, threads))
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(cancel_futures=True)
        raise


def _remove_unfinished(task: Task, tracks: Iterable[Track]) -> None:
    for track in tracks:
        shutil.rmtree(task.staging(track), ignore_errors=True)


_worker: _Worker | DrumsepError


def _start_worker(task: Task, threads: int) -> None:
    """Load the model once per process; interruptions are the parent's to handle."""
    import torch

    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    try:
        _worker = _Worker(task)
    except DrumsepError as error:
        _worker = error  # every file then fails with this cause


def _attempt_in_worker(track: Track) -> Outcome:
    if isinstance(_worker, DrumsepError):
        return Outcome(track, "failed", error=str(_worker))
    return _worker.attempt(track, no_progress)
