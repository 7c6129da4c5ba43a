"""Measure systems on clips: what is not remembered is shared among processes."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import torch

from drumsep.errors import DrumsepError, UsageError
from drumsep.evaluate.cache import place, recall, remember, weights
from drumsep.evaluate.dataset import read_truth
from drumsep.evaluate.estimates import Estimate, Trial, estimate, options_of
from drumsep.evaluate.plan import System
from drumsep.evaluate.scores import ClipResult, score
from drumsep.sampled_kits import RATE, SampledKit, read_kit


@dataclass(frozen=True)
class Failure:
    """A trial that could not be made, and why."""

    system: str
    clip: str
    cause: str


@dataclass(frozen=True)
class Evaluation:
    """All results, systems in the order asked for and clips by name."""

    results: tuple[ClipResult, ...]
    failures: tuple[Failure, ...]
    remembered: int  # results that were not computed anew

    def of(self, system: str) -> tuple[ClipResult, ...]:
        """The results of one system."""
        return tuple(result for result in self.results if result.system == system)


Outcome = ClipResult | Failure
Report = Callable[[int, int, str], None]
"""Called with the number of trials done, of all trials, and the name of the last one."""


def run(trials: Sequence[Trial], jobs: int, cache: Path | None, report: Report) -> Evaluation:
    """Make every trial; one that fails never stops the others.

    Args:
        trials: systems on clips, the clips of a system one after the other.
        jobs: processes, each with one thread; 1 works in this one, with torch's own threads.
        cache: folder of earlier results; None measures everything anew.
        report: told after each trial.

    Raises:
        UsageError: a model or a setting that there is not; nothing was done.
    """
    for system in {trial.system for trial in trials}:
        _check(system)
    places = {trial: place(cache, trial) for trial in trials} if cache else {}
    known = {trial: found for trial, path in places.items() if (found := recall(path))}
    outcomes: dict[Trial, Outcome] = dict(known)
    for trial, outcome in _measured([trial for trial in trials if trial not in known], jobs):
        outcomes[trial] = outcome
        if trial in places and isinstance(outcome, ClipResult):
            remember(places[trial], outcome)
        report(len(outcomes), len(trials), f"{trial.system.label}: {trial.clip.name}")
    ordered = [outcomes[trial] for trial in trials]
    return Evaluation(
        tuple(outcome for outcome in ordered if isinstance(outcome, ClipResult)),
        tuple(outcome for outcome in ordered if isinstance(outcome, Failure)),
        len(known),
    )


def _check(system: System) -> None:
    try:
        weights(system)
        options_of(system)
    except DrumsepError as error:
        raise UsageError(str(error)) from error


def _true_kit(trial: Trial, answer: Estimate) -> SampledKit:
    """The kit that a clip was played with, at the rate of the one-shots to be compared with it."""
    rates = {shot.audio.rate for shot in answer.kit.one_shots}
    return read_kit(trial.kit, channels=1, rate=max(rates, default=RATE))


def measure(trial: Trial) -> Outcome:
    """Make one trial: read the clip, ask the system, score its answer."""
    try:
        truth = read_truth(trial.clip)
        answer = estimate(trial, truth)
        kit = _true_kit(trial, answer) if trial.with_kit else None
        shares = score(truth, answer, kit, trial.groups)
    except (DrumsepError, OSError, MemoryError) as error:
        return Failure(trial.system.label, trial.clip.name, str(error) or type(error).__name__)
    return ClipResult(
        system=trial.system.label,
        clip=trial.clip.name,
        duration=truth.mixture.frames / truth.mixture.rate,
        seconds=answer.seconds,
        sounding=truth.sounding,
        shares=shares,
    )


def _measured(trials: Sequence[Trial], jobs: int) -> Iterator[tuple[Trial, Outcome]]:
    """Outcomes as they come."""
    if jobs == 1 or len(trials) < 2:
        yield from ((trial, measure(trial)) for trial in trials)
        return
    # "spawn": a forked copy of a process that has used torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(trials)), context, _start_worker)
    try:
        futures = {pool.submit(measure, trial): trial for trial in trials}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise DrumsepError("a process of the evaluation died: too little memory?") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """One thread each; an interruption is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
