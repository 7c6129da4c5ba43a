"""Which model a task works with, and how, as settings that travel to other processes."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from drumsep.errors import DrumsepError, UsageError
from drumsep.results import Options
from drumsep.separator import Separator


@dataclass(frozen=True)
class ModelChoice:
    """A model by name, or by the path of its weights, and the device it runs on."""

    name: str = "drumsep"
    weights: Path | None = None
    device: str = "auto"

    def open(self, device: str | None = None) -> Separator:
        """Load it, onto `device` if given.

        Raises:
            UsageError: unknown name, damaged weights, or a device that is not there.
        """
        from drumsep.loading import load

        try:
            return load(self.name, weights=self.weights, device=device or self.device)
        except DrumsepError as error:
            raise UsageError(str(error)) from error

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a manifest says of the model: its name and its weights' SHA-256, without loading.

        Found once: a batch asks for every file, and hashing a checkpoint takes longer than a loop.

        Raises:
            UsageError: unknown name, or no such file.
        """
        from drumsep.loading import hashes

        try:
            return {"model": self.name, "weights_sha256": hashes(self.name, self.weights)}
        except DrumsepError as error:
            raise UsageError(str(error)) from error


@dataclass(frozen=True)
class ModelTask:
    """What all tasks are told."""

    choice: ModelChoice
    out: Path
    options: Options

    def open(self, device: str | None = None) -> Separator:
        """Load the model."""
        return self.choice.open(device)

    def with_batch(self, batch: int) -> Self:
        """The same with so many blocks at once."""
        return replace(self, options=replace(self.options, batch=batch))
