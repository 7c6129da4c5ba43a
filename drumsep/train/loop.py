"""One plain loop for every network: optimise, validate, keep the best; stop when time is up.

Everything that steers it is in `TrainOptions`, everything it knows in the checkpoint, so it goes
on where it stopped, on another machine or device too.
"""

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

Batch = tuple[Tensor, ...]

BEST, LAST = "best.pt", "last.pt"  # the best validated weights so far; all that resuming needs


@dataclass(frozen=True)
class TrainOptions:
    """How long, how fast and where to; stored in the checkpoint."""

    kits: Path  # folder of kit folders
    grooves: Path  # Groove MIDI, or any folder of MIDI files
    out: Path  # folder for last.pt, best.pt, log.jsonl
    validation_kits: Path | None = None
    stems: tuple[Path, ...] = ()  # folders of recordings with stems, to train on as well
    recordings: tuple[Path, ...] = ()  # folders of annotated recordings, for choosing only
    minutes: float = 60.0  # of wall-clock time, over all sittings
    steps: int = 1_000_000  # at most
    batch: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warm_up: int = 100  # steps
    cool_down: float = 0.3  # last share of the budget, in which the rate falls to 1/100
    average: float = 0.998  # decay of the moving average of the weights that is validated and kept
    validate_every: float = 6.0  # minutes
    seed: int = 0
    device: str = "cpu"
    bfloat16: bool = False
    workers: int = 1  # processes that make clips
    resume: bool = False
    start: Path | None = None  # stored weights (.safetensors) that a transcriber begins with
    beside: Path | None = None  # stored transcriber (.safetensors) that the new one works beside
    licence: str = "not stated"  # of the weights that are made, for their card


class Trainee(Protocol):
    """What the loop needs to know of a network and its data."""

    network: nn.Module

    def batch(self, number: int) -> Batch:
        """Training batch `number`; the same whenever asked."""
        ...

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """What to minimise, under "loss", and its parts."""
        ...

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Scores of a network in evaluation mode; the highest "score" is kept."""
        ...


# Called with every step: its number, minutes, rate and smoothed losses, and scores if validated.
Report = Callable[[Mapping[str, float]], None]


class _Batches(torch.utils.data.Dataset[Batch]):
    """A trainee's batches for a DataLoader, whose workers ask for them by number."""

    def __init__(self, trainee: Trainee) -> None:
        self._trainee = trainee

    def __getitem__(self, number: int) -> Batch:
        return self._trainee.batch(number)


def _batches(trainee: Trainee, options: TrainOptions, first: int) -> Iterator[Batch]:
    return iter(
        DataLoader(
            _Batches(trainee),
            batch_size=None,
            sampler=range(first, options.steps),
            num_workers=options.workers,
            prefetch_factor=6 if options.workers else None,
            generator=torch.Generator(),  # so that starting workers draws nothing from dropout's
        )
    )


Tensors = tuple[Tensor, ...] | list[Tensor]


def _moving_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """An exponential moving average, in place, that follows faster in the first steps."""

    def update(averages: Tensors, values: Tensors, count: Tensor | int) -> None:
        weight = 1 - min(decay, (1 + float(count)) / (10 + float(count)))
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.lerp_(value.to(average.dtype), weight)
            else:
                average.copy_(value)

    return update


class Training:
    """A network on its way: weights, their average, optimiser, and how far it has come."""

    def __init__(self, trainee: Trainee, options: TrainOptions) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.trainee = trainee
        self.network = trainee.network.to(options.device)
        self.average = AveragedModel(
            self.network, multi_avg_fn=_moving_average(options.average), use_buffers=True
        )
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), options.learning_rate, weight_decay=options.weight_decay
        )
        self.step = 0
        self.seconds = 0.0
        self.best = -math.inf

    @property
    def progress(self) -> float:
        """How much of the budget is used, 0 to 1: of time or of steps, whichever is nearer."""
        options = self.options
        return max(self.seconds / (60 * options.minutes), self.step / options.steps)

    def rate(self) -> float:
        """The learning rate now: warm-up, level, and a cosine down to a hundredth."""
        warm = min(1.0, (self.step + 1) / self.options.warm_up)
        late = max(0.0, 1 - (1 - min(self.progress, 1)) / self.options.cool_down)
        return self.options.learning_rate * warm * (0.505 + 0.495 * math.cos(math.pi * late))

    def optimise(self, batch: Batch) -> dict[str, float]:
        """One step; the losses it made."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.network.train()
        batch = tuple(tensor.to(self.options.device) for tensor in batch)
        device = torch.device(self.options.device).type
        with torch.autocast(device, torch.bfloat16, enabled=self.options.bfloat16):
            losses = self.trainee.loss(self.network, batch)
        self.optimiser.zero_grad()
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def validated(self) -> dict[str, float]:
        """Scores of the averaged weights, which are kept as best.pt when they are the best yet."""
        network = self.average.module.eval()
        with torch.no_grad():
            scores = self.trainee.validate(network)
        if scores["score"] >= self.best:  # of equals the one that learnt longer
            self.best = scores["score"]
            _save(self.options.out / BEST, {"network": network.state_dict(), "scores": scores})
        return scores

    def best_network(self) -> nn.Module:
        """The validated network with the best score, in evaluation mode, on the CPU again."""
        network = copy.deepcopy(self.average.module).cpu()
        stored = torch.load(self.options.out / BEST, map_location="cpu", weights_only=True)
        network.load_state_dict(stored["network"])
        return network.eval()

    def save(self) -> None:
        """Write last.pt, whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "options": json.dumps(asdict(self.options), default=str),
        }
        _save(self.options.out / LAST, state)

    def load(self) -> None:
        """Go on from last.pt."""
        state = torch.load(
            self.options.out / LAST, map_location=self.options.device, weights_only=True
        )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"].cpu())
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]


def _save(path: Path, state: dict[str, Any]) -> None:
    beside = path.with_suffix(".partial")
    torch.save(state, beside)
    beside.replace(path)


def run(trainee: Trainee, options: TrainOptions, report: Report) -> nn.Module:
    """Train until the budget is used; the averaged network that scored best, as it is applied.

    Every step is reported; every validation is a line of log.jsonl as well. From the first one on
    best.pt and last.pt are in `options.out`.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    training = Training(trainee, options)
    if options.resume and (options.out / LAST).exists():
        training.load()
    smooth: dict[str, float] = {}
    due = training.seconds + 60 * options.validate_every
    before = time.monotonic()
    for batch in _batches(trainee, options, training.step):
        if training.progress >= 1:
            break
        for name, value in training.optimise(batch).items():
            smooth[name] = 0.98 * smooth.get(name, value) + 0.02 * value
        now = time.monotonic()
        training.seconds, before = training.seconds + now - before, now
        report(_line(training, smooth))
        if training.seconds >= due:
            report(_validated(training, smooth))
            due = training.seconds + 60 * options.validate_every
    report(_validated(training, smooth))
    return training.best_network()


def _line(training: Training, values: Mapping[str, float]) -> dict[str, float]:
    """How far it has come, and losses or scores."""
    return {
        "step": training.step,
        "minutes": round(training.seconds / 60, 2),
        "rate": training.rate(),
        **{name: round(value, 4) for name, value in values.items()},
    }


def _validated(training: Training, losses: Mapping[str, float]) -> dict[str, float]:
    """Validate, save, log; the line that was logged."""
    scores = training.validated()
    training.save()
    line = _line(training, {**losses, **scores})
    with (training.options.out / "log.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")
    return line
