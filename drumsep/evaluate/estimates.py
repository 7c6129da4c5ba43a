"""What a system answers for a clip: a model's stems, hits and kit, or those of a ceiling."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from drumsep.dsp import Stft, wiener
from drumsep.errors import DrumsepError
from drumsep.evaluate.dataset import Clip, Truth
from drumsep.evaluate.kits import played
from drumsep.evaluate.plan import Oracle, System
from drumsep.loading import load
from drumsep.masking import masked_stems, spectral_blocks
from drumsep.results import Audio, Kit, Options, Samples, Source, Transcription
from drumsep.sampled_kits import read_kit
from drumsep.separator import Separator

# The ideal ratio mask of DESIGN: 93 ms windows, power spectra.
MASK_STFT = Stft(4096, 1024)
MASK_ALPHA = 2.0
MASK_EPS = 1e-12  # power; far below that of a bin with 16-bit rounding noise
MASK_BLOCK = 256  # frames


@dataclass(frozen=True)
class Trial:
    """One system on one clip."""

    system: System
    clip: Clip
    groups: tuple[str, ...]  # of metrics
    kits: Path | None = None  # folder of true kits, by name

    @property
    def with_kit(self) -> bool:
        """Whether the model's one-shots are wanted."""
        return "one-shots" in self.groups

    @property
    def kit(self) -> Path:
        """The folder of the kit that the clip was played on.

        Raises:
            DrumsepError: no folder of kits is given, or the clip does not name its kit.
        """
        if self.kits is None or self.clip.kit is None:
            raise DrumsepError("its true kit needs --kits, and the kit's name in meta.json")
        return self.kits / self.clip.kit


@dataclass(frozen=True, eq=False)
class Estimate:
    """The answer for one clip; what a system does not tell is absent."""

    stems: Mapping[str, Samples]
    hits: Transcription | None = None  # None too where they were given, and not found
    kit: Kit = field(default_factory=lambda: Kit(()))
    seconds: float = 0.0  # s that it took, the loading of weights aside


def estimate(trial: Trial, truth: Truth) -> Estimate:
    """Ask a system about a clip; stems only where the true ones are there to compare with.

    Raises:
        DrumsepError: the truth that a ceiling needs is not given, or the model fails.
    """
    system = trial.system
    if system.oracle is not None and not truth.stems:
        raise DrumsepError(f"oracle {system.oracle} needs true stems to be compared with")
    if system.model is None:
        return _ceiling(trial, truth)
    options = options_of(system)
    if system.oracle is Oracle.ONSETS:
        options = replace(options, hits=_true_hits(truth))
    return _answer(_opened(system.model, system.device), truth, options, trial.with_kit)


def options_of(system: System) -> Options:
    """The settings of a model.

    Raises:
        DrumsepError: settings that no model can take.
    """
    return Options(adapt=system.adapt, alpha=system.alpha, mask=system.mask)


@lru_cache(maxsize=1)
def _opened(model: str, device: str) -> Separator:
    """The model in use in this process: clips come sorted by model."""
    return load(model, device=device)


def _answer(separator: Separator, truth: Truth, options: Options, with_kit: bool) -> Estimate:
    start = time.perf_counter()
    if not truth.stems:
        hits = separator.transcribe(truth.mixture, options)
        return Estimate({}, hits, seconds=time.perf_counter() - start)
    stream = separator.stream(truth.mixture, options)
    stems = dict(zip(stream.names, np.concatenate(list(stream.blocks()), axis=-1), strict=True))
    seconds = time.perf_counter() - start
    kit = stream.kit() if with_kit else Kit(())
    return Estimate(stems, None if options.hits else stream.transcription, kit, seconds)


def _ceiling(trial: Trial, truth: Truth) -> Estimate:
    start = time.perf_counter()
    if trial.system.oracle is Oracle.MASK:
        sources = {name: stem.samples for name, stem in truth.stems.items()}
    else:
        kit = read_kit(trial.kit, truth.mixture.channels, truth.mixture.rate)
        sources = played(kit, _true_hits(truth).hits, truth.mixture)
    stems = ideal_stems(truth.mixture, sources)
    return Estimate(stems, seconds=time.perf_counter() - start)


def _true_hits(truth: Truth) -> Transcription:
    if truth.hits is None:
        raise DrumsepError("its true hits are not given (onsets.csv)")
    return truth.hits


def ideal_stems(mixture: Audio, sources: Mapping[str, Samples]) -> dict[str, Samples]:
    """The mixture masked with its sources' own spectra.

        M_k = |S_k|^2 / (sum_j |S_j|^2 + eps)

    the ideal ratio mask with alpha 2 (Liutkus and Badeau 2015): what masking the mixture's spectrum
    can reach at most, near enough. Sources are (channels, time), as long as the mixture.
    """
    masker = IdealMasker([Audio(source, mixture.rate) for source in sources.values()])
    stems = np.concatenate(list(masked_stems(mixture, masker)), axis=-1)
    return dict(zip(sources, stems, strict=True))


class IdealMasker:
    """A `Masker` that looks at the true sources, block by block beside the mixture."""

    stft = MASK_STFT
    block = MASK_BLOCK
    lookahead = 0
    device = torch.device("cpu")

    def __init__(self, sources: Sequence[Source]):
        self._spectra = [self._blocks(source) for source in sources]

    def masks(self, spectrum: Tensor, start: int) -> Tensor:
        """Masks (K, C, F, T) of one block."""
        magnitudes = torch.stack([next(blocks).abs() for blocks in self._spectra])
        return wiener(magnitudes, MASK_ALPHA, MASK_EPS)

    def _blocks(self, source: Source) -> Iterator[Tensor]:
        for _, spectrum in spectral_blocks(source, self.stft, self.block, 0, self.device):
            yield spectrum
