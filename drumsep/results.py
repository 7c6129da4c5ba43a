"""What flows between the stages: audio in, hits, one-shots, stems out; all frozen, all checked.

Axis order everywhere: (stem, channel, time) for sound and (stem, channel, frequency, frame) for
spectra, absent axes dropped.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from drumsep.drums import Drum
from drumsep.errors import DrumsepError

Samples = NDArray[np.float32]

Progress = Callable[[str, float], None]
"""Called with the name of the running stage and the fraction of it that is done, in [0, 1]."""


def no_progress(stage: str, fraction: float) -> None:
    """Report to nobody."""


class Source(Protocol):
    """Sound that can be read from its start as often as needed, in blocks, never whole."""

    @property
    def rate(self) -> int:
        """Samples per second and channel."""

    @property
    def channels(self) -> int:
        """Number of channels."""

    @property
    def frames(self) -> int:
        """Length in samples per channel."""

    def blocks(self, size: int) -> Iterator[Samples]:
        """Yield float32 (channels, n) with 1 <= n <= size, in order, `frames` samples in all."""


@dataclass(frozen=True, eq=False)
class Audio:
    """Sound in memory: float32 samples of shape (channels, time) at `rate` Hz; a `Source`."""

    samples: Samples
    rate: int  # Hz

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.shape[0] < 1:
            raise DrumsepError(f"audio must have shape (channels, time), got {self.samples.shape}")
        if self.samples.dtype != np.float32:
            raise DrumsepError(f"audio must be float32, got {self.samples.dtype}")
        if self.rate < 1:
            raise DrumsepError(f"sample rate must be positive, got {self.rate}")

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def frames(self) -> int:
        """Length in samples per channel."""
        return int(self.samples.shape[1])

    def blocks(self, size: int) -> Iterator[Samples]:
        """Yield views of shape (channels, n), n <= size."""
        for start in range(0, self.frames, size):
            yield self.samples[:, start : start + size]


@dataclass(frozen=True, order=True)
class Hit:
    """One stroke: when, on what, how hard, and how sure the transcriber was."""

    time: float  # s from the start of the recording
    drum: Drum
    velocity: float  # 0..1, MIDI velocity / 127
    confidence: float = 1.0  # 0..1

    def __post_init__(self) -> None:
        if not (np.isfinite(self.time) and self.time >= 0):
            raise DrumsepError(f"a hit needs a time of at least 0 s, got {self.time}")
        if not 0 <= self.velocity <= 1:
            raise DrumsepError(f"a hit needs a velocity in [0, 1], got {self.velocity}")
        if not 0 <= self.confidence <= 1:
            raise DrumsepError(f"a hit needs a confidence in [0, 1], got {self.confidence}")


@dataclass(frozen=True)
class Transcription:
    """The hits of a recording in order of time, and where they come from."""

    hits: tuple[Hit, ...]
    duration: float  # s
    origin: str = "given"  # name of the transcriber, or "given" for a user's own hits

    def __post_init__(self) -> None:
        if any(later < earlier for earlier, later in zip(self.hits, self.hits[1:], strict=False)):
            object.__setattr__(self, "hits", tuple(sorted(self.hits)))

    def of(self, drum: Drum) -> tuple[Hit, ...]:
        """The hits of one drum, in order of time."""
        return tuple(hit for hit in self.hits if hit.drum is drum)


@dataclass(frozen=True, eq=False)
class OneShot:
    """One playable sample of a drum, and whether it was synthesised or cut from the recording."""

    drum: Drum
    audio: Audio
    kind: Literal["synthesised", "extracted"]
    velocity: float  # 0..1, of the hit it stands for
    time: float | None = None  # s, of the hit it was cut from; None when synthesised
    isolation: float | None = None  # dB, its own energy over that of all else around it


@dataclass(frozen=True, eq=False)
class Kit:
    """The one-shots of a recording."""

    one_shots: tuple[OneShot, ...]

    def of(self, drum: Drum) -> tuple[OneShot, ...]:
        """The one-shots of one drum, softest first."""
        found = (shot for shot in self.one_shots if shot.drum is drum)
        return tuple(sorted(found, key=lambda shot: shot.velocity))


@dataclass(frozen=True)
class Options:
    """How to separate; the same for every model, which refuses what it cannot do."""

    stems: Literal[5, 9] = 5
    mask: bool = True  # False: the model's own output, without the alpha-Wiener filter
    alpha: float | None = None  # exponent of the filter in (0, 2]; None: the model's default
    seed: int = 0  # of the synthesis noise
    hits: Transcription | None = None  # the user's own hits, placed exactly as given
    kit: Kit | None = None  # the user's own one-shots, instead of the model's
    adapt: int | None = None  # updates of the refinement; None: the model's default, 0: off
    thresholds: Mapping[Drum, float] = field(default_factory=dict)  # replace the transcriber's
    overlap: float = 0.0  # fraction of a chunk cross-faded with the next, for chunked networks
    batch: int | None = None  # blocks computed at once, to the same result; None: by device

    def __post_init__(self) -> None:
        if self.alpha is not None and not 0 < self.alpha <= 2:
            raise DrumsepError(f"alpha must be in (0, 2], got {self.alpha}")
        if self.stems not in (5, 9):
            raise DrumsepError(f"stems must be 5 or 9, got {self.stems}")
        if self.adapt is not None and self.adapt < 0:
            raise DrumsepError(f"adapt must be 0 or more updates, got {self.adapt}")
        if not 0 <= self.overlap <= 0.5:
            raise DrumsepError(f"overlap must be in [0, 0.5], got {self.overlap}")
        if self.batch is not None and self.batch < 1:
            raise DrumsepError(f"batch must be at least 1 block, got {self.batch}")


@dataclass(frozen=True, eq=False)
class StemStream:
    """Stems that are computed as they are read, with what was found on the way.

    `blocks()` starts from the beginning at each call and yields float32 (stem, channel, n); the
    lengths add up to `frames`. Two iterations yield the same samples.
    """

    names: tuple[str, ...]
    rate: int  # Hz
    channels: int
    frames: int
    transcription: Transcription
    blocks: Callable[[], Iterator[Samples]]
    kit: Callable[[], Kit]  # synthesised one-shots; an empty kit where the model makes none
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Separation:
    """The parts of a recording: stems at its rate, channels and length, and its hits."""

    stems: Mapping[str, Audio]
    transcription: Transcription
    warnings: tuple[str, ...] = ()
