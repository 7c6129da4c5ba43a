"""How fast and how large a model is, stage by stage, each measured in a process of its own."""

import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

import drumsep
from drumsep.audio import AudioFile
from drumsep.devices import device_of
from drumsep.errors import DrumsepError
from drumsep.loading import load
from drumsep.memory import peak_memory
from drumsep.recording import BLOCK
from drumsep.results import Samples, Source, StemStream
from drumsep.separator import with_mixture
from drumsep.stem_files import StemFiles
from drumsep.wav import WavFormat

BAR = 2.0  # s
TAIL = 1.0  # s that a bar rings into the next
BARS_TO_FILL = 4  # every fourth bar ends in toms, and a crash follows


@dataclass(frozen=True)
class MadeUpDrums:
    """A stereo `Source` by formula: a groove whose every hit varies in time, strength and sound.

    Rendered bar by bar as it is read, so that an hour of it takes no memory.
    """

    seconds: float
    rate: int = 44100  # Hz
    channels: int = 2

    @property
    def frames(self) -> int:
        """Length in samples per channel."""
        return round(self.seconds * self.rate)

    def blocks(self, size: int) -> Iterator[Samples]:
        """Yield float32 (channels, n) with n <= size."""
        length, left, bar = round(BAR * self.rate), self.frames, 0
        ringing = np.zeros((self.channels, round(TAIL * self.rate)), np.float32)
        while left:
            sound = self._bar(bar)
            sound[:, : ringing.shape[1]] += ringing
            ringing = sound[:, length:]
            ready = sound[:, : min(length, left)]
            for start in range(0, ready.shape[1], size):
                yield ready[:, start : start + size]
            left -= ready.shape[1]
            bar += 1

    def _bar(self, number: int) -> Samples:
        """One bar and its tail; its number alone decides how it sounds."""
        rng = np.random.default_rng(number)
        sound = np.zeros((self.channels, round((BAR + TAIL) * self.rate)), np.float32)
        for step, pitch, decay, noise, pan in _hits(number, rng):
            start = round((step / 16 * BAR + rng.uniform(0, 0.008)) * self.rate)
            time = np.arange(sound.shape[1] - start) / self.rate
            level = rng.uniform(0.1, 0.3) * np.exp(-decay * rng.uniform(0.8, 1.25) * time)
            tone = np.sin(2 * np.pi * pitch * rng.uniform(0.97, 1.03) * time)
            hiss = np.diff(rng.standard_normal(time.size), prepend=0)
            hit = level * ((1 - noise) * tone + noise * hiss)
            sound[:, start:] += np.outer([1 - pan, pan], hit).astype(np.float32)
        return sound


Stroke = tuple[int, float, float, float, float]
"""Sixteenth of the bar, pitch in Hz, decay in 1/s, share of noise, and place from left to right."""


def _hits(bar: int, rng: np.random.Generator) -> Iterator[Stroke]:
    """The strokes of a bar: kick, snare and hats, and now and then a fill and a crash."""
    for step in (0, 8, *rng.choice([3, 6, 10, 11, 14], 2, replace=False)):
        yield int(step), 55, 12, 0.05, 0.5
    for step in (4, 12, *rng.choice([7, 9, 15], 1)):
        yield int(step), 190, 20, 0.6, 0.45
    for step in range(0, 16, 1 if bar % 3 else 2):
        yield step, 8000, 60 if rng.random() < 0.9 else 8, 0.9, 0.65
    if bar % BARS_TO_FILL == BARS_TO_FILL - 1:
        for step, pitch in zip(range(10, 16, 2), (160, 120, 85), strict=True):
            yield step, pitch, 10, 0.1, step / 25
    if bar % BARS_TO_FILL == 0:
        yield 0, 5000, 3, 0.95, 0.3


def write_drums(path: Path, seconds: float) -> Path:
    """Write so many seconds of made-up drums to a 16-bit WAV file; return its path."""
    drums = MadeUpDrums(seconds)
    with soundfile.SoundFile(path, "w", drums.rate, drums.channels, "PCM_16") as file:
        for block in drums.blocks(BLOCK):
            file.write(block.T)
    return path


@dataclass(frozen=True)
class Job:
    """What to measure."""

    model: str
    file: Path
    device: str = "auto"
    threads: int | None = None  # None: torch's default


@dataclass(frozen=True)
class Measurement:
    """What one separation, from loading to files written, has cost."""

    model: str
    device: str
    threads: int
    sound_s: float  # length of the input
    load_s: float  # weights to a model that is ready
    analyse_s: float  # survey, transcription, and what else comes before the first stem
    stems_s: float
    write_s: float  # five 24-bit files
    cpu_s: float  # of all cores, from analysis to files
    added_mb: float | None  # peak memory beyond that of the imports; None where it is not told

    @property
    def ratio(self) -> float:
        """Seconds of computing, the loading aside, per second of sound."""
        return (self.analyse_s + self.stems_s + self.write_s) / self.sound_s

    def facts(self) -> dict[str, Any]:
        """All numbers, rounded for printing."""
        numbers = asdict(self) | {"ratio": self.ratio}
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in numbers.items()}


def measured(job: Job, runs: int = 1) -> Measurement:
    """The median, number by number, of several runs, each in a fresh process.

    Raises:
        DrumsepError: the model or the input is not there, or a run ran out of memory.
    """
    found = [_in_fresh_process(job) for _ in range(runs)]
    medians = {
        field.name: statistics.median(values)
        for field in fields(Measurement)
        if None not in (values := [getattr(one, field.name) for one in found])
        and field.name not in ("model", "device", "threads")
    }
    return Measurement(**(asdict(found[0]) | medians))


def _in_fresh_process(job: Job) -> Measurement:
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, context) as pool:
            return pool.submit(measure, job).result()
    except BrokenProcessPool as error:
        raise DrumsepError(
            f"{job.model}: the measuring process died: too little memory?"
        ) from error


def measure(job: Job) -> Measurement:
    """Separate once and take the times; the memory is right only in a process that did no more."""
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    source = AudioFile(job.file)
    before = peak_memory()
    started = time.perf_counter()
    separator = load(job.model, device=job.device)
    loaded, cpu = time.perf_counter(), time.process_time()
    stream = separator.stream(source)
    analysed = time.perf_counter()
    writing = _write(stream, source)
    done = time.perf_counter()
    after = peak_memory()
    return Measurement(
        model=job.model,
        device=str(device_of(job.device)),
        threads=torch.get_num_threads(),
        sound_s=source.frames / source.rate,
        load_s=loaded - started,
        analyse_s=analysed - loaded,
        stems_s=done - analysed - writing,
        write_s=writing,
        cpu_s=time.process_time() - cpu,
        added_mb=None if before is None or after is None else (after - before) / 1e6,
    )


def _write(stream: StemStream, source: Source) -> float:
    """Write the stems, throw them away, and return the seconds that the writing alone took."""
    spent = 0.0
    layout = WavFormat(source.rate, source.channels)
    with (
        tempfile.TemporaryDirectory() as folder,
        StemFiles(Path(folder), stream.names, layout) as files,
    ):
        for stems, mixture in with_mixture(stream, source):
            before = time.perf_counter()
            files.write(stems, mixture)
            spent += time.perf_counter() - before
    return spent


def environment() -> dict[str, Any]:
    """What a measurement depends on beside the model: versions and machine."""
    return {
        "drumsep": drumsep.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or platform.machine()


COLUMNS = ("model", "sound, s", "load", "analyse", "stems", "write", "ratio", "CPU, s", "added, MB")


def rows(measurements: Sequence[Measurement]) -> Iterator[tuple[str, ...]]:
    """The lines of a table under `COLUMNS`."""
    for one in measurements:
        times = (one.load_s, one.analyse_s, one.stems_s, one.write_s)
        memory = "" if one.added_mb is None else f"{one.added_mb:.0f}"
        yield (
            one.model,
            f"{one.sound_s:.1f}",
            *(f"{seconds:.2f}" for seconds in times),
            f"{one.ratio:.4f}",
            f"{one.cpu_s:.2f}",
            memory,
        )
