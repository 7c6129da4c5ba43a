"""Where the quarter notes lie: a tempo map as MIDI files hold it, in whole numbers."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from drumsep.errors import DrumsepError

RESOLUTION = 960  # ticks per quarter note that drumsep writes
MINUTE = 60_000_000  # microseconds
LARGEST_QUARTER = 0xFF_FFFF  # microseconds; three bytes in a MIDI file
SLOWEST, FASTEST = 4.0, 1000.0  # quarter notes per minute that are accepted
DEFAULT = 120.0  # quarter notes per minute; what a MIDI file without a tempo means


@dataclass(frozen=True)
class TempoMap:
    """Sections of constant tempo, as (first tick, microseconds per quarter note).

    The first section starts at tick 0. Being whole numbers, they survive a MIDI file unchanged, and
    `ticks(seconds(tick)) == tick` for every tick.
    """

    sections: tuple[tuple[int, int], ...]
    resolution: int = RESOLUTION  # ticks per quarter note

    def __post_init__(self) -> None:
        starts = [tick for tick, _ in self.sections]
        if not starts or starts[0] != 0 or any(b <= a for a, b in pairwise(starts)):
            raise DrumsepError(f"tempo sections must start at tick 0 and go forward, got {starts}")
        if any(not 0 < quarter <= LARGEST_QUARTER for _, quarter in self.sections):
            raise DrumsepError("a quarter note must last 1 to 16777215 microseconds")
        if self.resolution < 1:
            raise DrumsepError(f"a quarter note must have ticks, got {self.resolution}")

    @classmethod
    def constant(cls, bpm: float) -> "TempoMap":
        """One tempo throughout, in quarter notes per minute.

        Raises:
            DrumsepError: slower than 4 or faster than 1000.
        """
        return cls(((0, _quarter(bpm)),))

    @classmethod
    def from_changes(cls, changes: Sequence[tuple[float, float]]) -> "TempoMap":
        """A tempo from each time on: (seconds, quarter notes per minute), the first at 0 s.

        A change takes place at the tick nearest to its time.
        """
        sections: list[tuple[int, int]] = []
        for seconds, bpm in changes:
            tick = cls(tuple(sections)).ticks(seconds) if sections else 0
            sections = [section for section in sections if section[0] < tick]
            sections.append((tick, _quarter(bpm)))
        return cls(tuple(sections))

    @property
    def changes(self) -> tuple[tuple[float, float], ...]:
        """The sections as (seconds, quarter notes per minute)."""
        return tuple((self.seconds(tick), MINUTE / quarter) for tick, quarter in self.sections)

    def seconds(self, tick: int) -> float:
        """Time of a tick, rounded once."""
        start, quarter, elapsed = self._section(bisect_right(self.sections, tick, key=_first) - 1)
        return (elapsed + (tick - start) * quarter) / (1_000_000 * self.resolution)

    def ticks(self, seconds: float) -> int:
        """The tick nearest to a time."""
        at = bisect_right(self._starts, seconds) - 1
        start, quarter, _ = self._section(at)
        return start + round((seconds - self._starts[at]) * 1_000_000 * self.resolution / quarter)

    def _section(self, at: int) -> tuple[int, int, int]:
        """First tick, microseconds per quarter and time (in microseconds per `resolution`)."""
        start, quarter = self.sections[at]
        return start, quarter, self._elapsed[at]

    @cached_property
    def _elapsed(self) -> tuple[int, ...]:
        total = [0]
        for (start, quarter), (end, _) in pairwise(self.sections):
            total.append(total[-1] + (end - start) * quarter)
        return tuple(total)

    @cached_property
    def _starts(self) -> tuple[float, ...]:
        return tuple(elapsed / (1_000_000 * self.resolution) for elapsed in self._elapsed)


def _first(section: tuple[int, int]) -> int:
    return section[0]


def _quarter(bpm: float) -> int:
    """Microseconds per quarter note."""
    if not SLOWEST <= bpm <= FASTEST:
        allowed = f"{SLOWEST:g} to {FASTEST:g} quarter notes per minute are allowed"
        raise DrumsepError(f"a tempo of {bpm:g}; {allowed}")
    return round(MINUTE / bpm)
