"""What can be measured, and of what: the words of an evaluation. Imports nothing heavy."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import Any

from drumsep.errors import UsageError

ALL = "all"  # beside the stems: all of them together


@dataclass(frozen=True)
class Metric:
    """A column of the tables."""

    key: str  # in JSON and CSV
    heading: str
    group: str  # what `--metrics` calls it
    decimals: int = 2  # in tables


METRICS = (
    Metric("nsdr", "nSDR, dB", "nsdr"),
    Metric("nsdr_silent", "silent nSDR, dB", "nsdr"),
    Metric("si_sdr", "SI-SDR, dB", "si-sdr"),
    Metric("osdr", "oSDR, dB", "osdr"),
    Metric("lsd", "LSD, dB", "lsd"),
    Metric("pes", "PES, dB", "silence"),
    Metric("eps", "EPS, dB", "silence"),
    Metric("f50", "onset F, 50 ms", "onsets", 3),
    Metric("p50", "precision, 50 ms", "onsets", 3),
    Metric("r50", "recall, 50 ms", "onsets", 3),
    Metric("f20", "onset F, 20 ms", "onsets", 3),
    Metric("p20", "precision, 20 ms", "onsets", 3),
    Metric("r20", "recall, 20 ms", "onsets", 3),
    Metric("velocity_r", "velocity r", "velocity", 3),
    Metric("one_shot", "one-shots, dB", "one-shots"),
)
GROUPS = tuple(dict.fromkeys(metric.group for metric in METRICS))
DEFAULT_GROUPS = ("nsdr", "si-sdr", "lsd", "silence", "onsets", "velocity")

# What a group needs beside drumsep itself: the extra `evaluate`.
LIBRARIES = {"osdr": "fast_bss_eval", "onsets": "mir_eval", "velocity": "mir_eval"}


class Oracle(StrEnum):
    """What a ceiling knows of the truth."""

    ONSETS = "onsets"  # a model that is given the true hits
    KIT = "kit"  # the true hits played on the true kit's samples, used as masks
    MASK = "mask"  # the true stems' spectra used as masks: the most that masks can do


@dataclass(frozen=True)
class System:
    """What is measured: a model with its settings, or a ceiling."""

    model: str | None  # None: a ceiling without a model
    oracle: Oracle | None = None
    adapt: int | None = None  # updates; None: the model's default
    alpha: float | None = None  # exponent; None: the model's default
    mask: bool = True  # False: what the model makes without masks
    device: str = "auto"

    @property
    def label(self) -> str:
        """Name in tables."""
        if self.model is None:
            return f"oracle {self.oracle}"
        settings = {"adapt": self.adapt, "alpha": self.alpha}
        given = [f"{name} {value:g}" for name, value in settings.items() if value is not None]
        given += [] if self.mask else ["no mask"]
        knows = ["true onsets"] if self.oracle is Oracle.ONSETS else []
        return ", ".join([self.model, *given, *knows])

    def settings(self) -> dict[str, Any]:
        """All that decides what it answers, beside code and weights."""
        return asdict(self)


def systems(
    models: Sequence[str],
    oracles: Sequence[Oracle],
    adapt: int | None,
    alpha: float | None,
    mask: bool,
    device: str,
) -> tuple[System, ...]:
    """Every model as it is, every model with the true hits if asked for, then the ceilings."""
    plain = [System(name, None, adapt, alpha, mask, device) for name in models]
    if Oracle.ONSETS in oracles:
        plain += [System(name, Oracle.ONSETS, adapt, alpha, mask, device) for name in models]
    ceilings = [System(None, oracle) for oracle in (Oracle.KIT, Oracle.MASK) if oracle in oracles]
    return tuple(dict.fromkeys([*plain, *ceilings]))


def chosen_groups(text: str | None) -> tuple[str, ...]:
    """The groups of a comma-separated list; the default ones for None.

    Raises:
        UsageError: a name that is none of `GROUPS`.
    """
    if text is None:
        return DEFAULT_GROUPS
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in GROUPS]
    if unknown or not names:
        given = ",".join(unknown)
        raise UsageError(f"unknown metrics {given!r}: give some of {', '.join(GROUPS)}")
    return tuple(group for group in GROUPS if group in names)


def without_library(groups: Sequence[str]) -> dict[str, str]:
    """Groups that cannot be measured here, and the library that each lacks."""
    needed = {group: LIBRARIES[group] for group in groups if group in LIBRARIES}
    return {group: library for group, library in needed.items() if find_spec(library) is None}
