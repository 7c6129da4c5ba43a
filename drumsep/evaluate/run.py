"""Measure systems on clips: remember what was measured before, share the rest among processes."""

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import platformdirs
import torch

import drumsep
from drumsep.audio import sha256
from drumsep.errors import DrumsepError, UsageError
from drumsep.evaluate.dataset import Clip, read_truth
from drumsep.evaluate.estimates import estimate, kit_folder, options_of
from drumsep.evaluate.kits import TrueKit
from drumsep.evaluate.plan import System
from drumsep.evaluate.scores import ClipResult, score
from drumsep.evaluate.statistics import Score
from drumsep.loading import weights_of


@dataclass(frozen=True)
class Task:
    """One system on one clip."""

    system: System
    clip: Clip
    groups: tuple[str, ...]
    kits: Path | None


@dataclass(frozen=True)
class Failure:
    """A task that could not be done, and why."""

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
"""Called with the number of tasks done, of all tasks, and the name of the last one."""


def run(tasks: Sequence[Task], jobs: int, cache: Path | None, report: Report) -> Evaluation:
    """Do every task; one that fails never stops the others.

    Args:
        tasks: systems on clips, the clips of a system one after the other.
        jobs: processes, each with one thread; 1 works in this one, with torch's own threads.
        cache: folder of earlier results; None measures everything anew.
        report: told after each task.

    Raises:
        UsageError: a model or a setting that there is not; nothing was done.
    """
    for system in {task.system for task in tasks}:
        _check(system)
    keys = {task: _key(task) for task in tasks} if cache else {}
    known = {task: found for task in tasks if cache and (found := _recall(cache / keys[task]))}
    outcomes: dict[Task, Outcome] = dict(known)
    for task, outcome in _measured([task for task in tasks if task not in known], jobs):
        outcomes[task] = outcome
        if cache and isinstance(outcome, ClipResult):
            _remember(cache / keys[task], outcome)
        report(len(outcomes), len(tasks), f"{task.system.label}: {task.clip.name}")
    ordered = [outcomes[task] for task in tasks]
    return Evaluation(
        tuple(outcome for outcome in ordered if isinstance(outcome, ClipResult)),
        tuple(outcome for outcome in ordered if isinstance(outcome, Failure)),
        len(known),
    )


def measure(task: Task) -> Outcome:
    """Do one task: read the clip, ask the system, score its answer."""
    try:
        truth = read_truth(task.clip)
        with_kit = "one-shots" in task.groups
        answer = estimate(task.system, task.clip, truth, task.kits, with_kit)
        kit = TrueKit(kit_folder(task.clip, task.kits)) if with_kit else None
        shares = score(truth, answer, kit, task.groups)
    except (DrumsepError, OSError, MemoryError) as error:
        return Failure(task.system.label, task.clip.name, str(error) or type(error).__name__)
    return ClipResult(
        system=task.system.label,
        clip=task.clip.name,
        duration=truth.mixture.frames / truth.mixture.rate,
        seconds=answer.seconds,
        sounding=truth.sounding,
        shares=shares,
    )


def _measured(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Outcome]]:
    """Outcomes as they come."""
    if jobs == 1 or len(tasks) < 2:
        yield from ((task, measure(task)) for task in tasks)
        return
    # "spawn": a forked copy of a process that has used torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), context, _start_worker)
    try:
        futures = {pool.submit(measure, task): task for task in tasks}
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


def _key(task: Task) -> str:
    """Name of the file that remembers a task: a hash of all that decides its result."""
    facts = {
        "system": task.system.settings(),
        "weights": _weights(task.system),
        "groups": task.groups,
        "clip": task.clip.name,
        "files": [sha256(path) for path in task.clip.files],
        "kit": _kit_version(task),
        "code": _code_version(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest() + ".json"


def _check(system: System) -> None:
    try:
        _weights(system)
        options_of(system)
    except DrumsepError as error:
        raise UsageError(str(error)) from error


def _weights(system: System) -> dict[str, str]:
    """SHA-256 of the weights that a system uses, by name; DrumsepError for an unknown model."""
    cards = weights_of(system.model, None) if system.model else ()
    return {card.name: card.sha256 for card in cards}


def _kit_version(task: Task) -> str | None:
    """Hash of the true kit's files, if there is one to look at."""
    return _hash_of(task.kits / task.clip.kit) if task.kits and task.clip.kit else None


def _code_version() -> str:
    """Version and hash of the code: results of changed code are never taken for new ones."""
    return f"{drumsep.__version__} {_hash_of(Path(drumsep.__file__).parent, '*.py')}"


@lru_cache
def _hash_of(folder: Path, pattern: str = "*") -> str:
    """One hash for the files below a folder, names and contents."""
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    facts = "".join(f"{path.relative_to(folder)} {sha256(path)}\n" for path in files)
    return hashlib.sha256(facts.encode()).hexdigest()


def _remember(path: Path, result: ClipResult) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(asdict(result)), encoding="utf-8")
    partial.replace(path)


def _recall(path: Path) -> ClipResult | None:
    """An earlier result; None where there is none that can be read."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        facts["shares"] = {
            stem: {key: Score(**share) for key, share in shares.items()}
            for stem, shares in facts["shares"].items()
        }
        return ClipResult(**facts)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cache_folder() -> Path:
    """Where this user's earlier results are kept."""
    return Path(platformdirs.user_cache_dir("drumsep")) / "evaluate"
