"""IDM as a model: listen -> hits -> one-shots -> sequence -> masks, each step one function.

Differences from the published code, which is otherwise reproduced to rounding error: the recording
is heard at a peak of one; noise is seeded; hits keep their frame; a user's hits are placed as they
are; silence stays silent; channels are masked alike; and nothing grows with the recording but the
hit curves.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from drumsep.adaptation.adapt import Adapted, adapt
from drumsep.adaptation.starting import first_templates
from drumsep.devices import blocks_at_once
from drumsep.drums import DRUM_NAMES, DRUMS, STEMS, Drum
from drumsep.dsp import Stft, magnitude, wiener
from drumsep.errors import UsageError
from drumsep.idm.listening import Heard, listen
from drumsep.idm.network import Idm
from drumsep.idm.picking import HitFinder, amplitude_of, find_hits, possible_hits
from drumsep.idm.sequencing import Sequenced, onset_sample
from drumsep.masking import filtered_stems, framed_blocks, masked_stems
from drumsep.recording import BLOCK, Recording
from drumsep.results import (
    Audio,
    Hit,
    Kit,
    OneShot,
    Options,
    Progress,
    Samples,
    Transcription,
)
from drumsep.separator import Analysis, Transcriber, heard_by

ALPHA = 1.0  # the published default
MASK_EPS = 1e-12
MASK_BLOCK = 256  # frames masked at a time by a CPU
FADE = 0.1  # s; one-shots of cymbals are cut off at full ring after their second
KIT_PEAK = 0.95  # of the loudest one-shot of a kit


@dataclass(frozen=True, eq=False)
class IdmModel:
    """The inverse drum machine; a `separator.Model`, on the device of its network.

    Its hits are those of its own head, as published, or of a transcriber where it is given one.
    """

    network: Idm
    name: str = "idm"
    transcriber: Transcriber | None = None
    alpha: float = ALPHA

    @property
    def rate(self) -> int:
        """Sample rate it works at, in Hz."""
        return self.network.dimensions.rate

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def transcribe(
        self, recording: Recording, options: Options, progress: Progress
    ) -> Transcription:
        """Find the hits of a recording at `rate`.

        For its own head `options.thresholds` are margins: how far, in probability, a peak must
        stand out from the mean of 100 ms before and after it (0.2 as published). It has no absolute
        threshold.
        """
        if self.transcriber is not None:
            return heard_by(self.transcriber, recording, options, progress)
        heard = listen(self.network, recording, progress, options.batch)
        return self._transcription(heard, recording, options)

    def analyse(self, recording: Recording, options: Options, progress: Progress) -> Analysis:
        """Find the hits, or take `options.hits`, and make the one-shots that render the stems.

        With `options.adapt` the stems are made of more hits than its own head transcribes: those
        that are merely possible, as far as the recording confirms them.

        Without `options.mask` the stems are those renderings: one signal for all channels, at the
        published level (which all nine drums determine) times the peak of the analysed signal.

        Raises:
            UsageError: the options ask for overlapping chunks, for refinement without masks, or
                for a kit of the user's own.
        """
        _refuse_foreign(options)
        heard = listen(self.network, recording, progress, options.batch)
        if options.hits is None and self.transcriber is not None:
            found = heard_by(self.transcriber, recording, options, progress)
            options = replace(options, hits=found)
        transcription = options.hits
        if transcription is None:
            transcription = self._transcription(heard, recording, options)
        audible = tuple(hit for hit in transcription.hits if _sounds_in(recording, hit))
        played = audible
        if options.adapt and options.hits is None:
            played = self._hits(possible_hits, heard, recording, options)
        struck = [drum for drum in DRUMS if any(hit.drum is drum for hit in (*audible, *played))]
        progress("synthesising", 0.0)
        shots = self._one_shots(heard, struck if options.mask else DRUMS, options.seed)
        progress("synthesising", 1.0)
        warnings = _late_hits(len(transcription.hits) - len(audible))
        stft, alpha = self.network.dimensions.stft, options.alpha or self.alpha
        stems = _Stems(recording, options, audible, shots, stft, alpha)
        blocks: Callable[[], Iterator[Samples]] = partial(stems.blocks, self._device)
        if options.adapt:
            offered = Transcription(played, recording.duration, transcription.origin)
            adapted = self._adapted(shots, offered, recording, options, progress)
            blocks = partial(filtered_stems, recording, adapted.filter(options))
            warnings += adapted.warnings(transcription)
        drums = [drum for drum in DRUMS if any(hit.drum is drum for hit in audible)]
        return Analysis(
            names=STEMS if options.stems == 5 else DRUM_NAMES,
            transcription=transcription,
            stems=blocks,
            kit=lambda: _kit(shots, drums, self.rate),
            warnings=warnings,
        )

    def _adapted(
        self,
        one_shots: Mapping[Drum, Samples],
        transcription: Transcription,
        recording: Recording,
        options: Options,
        progress: Progress,
    ) -> Adapted:
        """The one-shots' spectra, fitted to the recording."""
        silence = np.zeros(self.network.dimensions.one_shot, np.float32)
        nine = np.stack([one_shots.get(drum, silence) for drum in DRUMS])
        templates = first_templates(torch.from_numpy(nine).to(self._device))
        return adapt(templates, transcription, recording, options, progress)

    def _transcription(self, heard: Heard, recording: Recording, options: Options) -> Transcription:
        """The peaks of the curves as hits; none where all is silence."""
        hits = self._hits(find_hits, heard, recording, options)
        return Transcription(hits, recording.duration, "idm")

    def _hits(
        self, find: HitFinder, heard: Heard, recording: Recording, options: Options
    ) -> tuple[Hit, ...]:
        if recording.peak == 0:
            return ()
        rates = (self.rate, self.network.dimensions.hop)
        hits = find(heard.onsets, heard.amplitudes, rates, options.thresholds)
        return tuple(hit for hit in hits if _sounds_in(recording, hit))

    @torch.inference_mode()
    def _one_shots(self, heard: Heard, drums: Sequence[Drum], seed: int) -> dict[Drum, Samples]:
        """One-shots (T,) at the level of their tracks, for the amplitude 1.

        The noise is drawn on the CPU for all nine drums, so that a seed means the same sound on
        every device and whichever drums are played.
        """
        if not drums:
            return {}
        generator = torch.Generator().manual_seed(seed)
        length = self.network.dimensions.one_shot
        noise = torch.randn(1, len(DRUMS), length, generator=generator).to(self._device)
        made = self.network.synthesis(heard.kit, noise, drums)[0].cpu().numpy()
        return {
            drum: heard.gains[drum.position] * shot for drum, shot in zip(drums, made, strict=True)
        }


@dataclass(frozen=True, eq=False)
class _Stems:
    """What the stems of a recording are computed from."""

    recording: Recording
    options: Options
    hits: tuple[Hit, ...]
    one_shots: dict[Drum, Samples]
    stft: Stft
    alpha: float

    def blocks(self, device: torch.device) -> Iterator[Samples]:
        """Yield all stems, float32 (stem, channel, n); those without hits are zero."""
        if not self.options.mask:
            yield from self._rendered()
        elif self.hits:
            yield from self._masked(device)
        else:
            for block in self.recording.blocks(BLOCK):
                yield np.zeros((self.options.stems, *block.shape), np.float32)

    def _rendered(self) -> Iterator[Samples]:
        everything = self._sequenced(range(self.options.stems))
        for block in everything.blocks(BLOCK):
            shape = (len(block), self.recording.channels, block.shape[-1])
            scaled = np.float32(self.recording.peak) * block
            yield np.broadcast_to(scaled[:, None], shape).copy()

    def _masked(self, device: torch.device) -> Iterator[Samples]:
        """Only stems that sound are masked; the others would cost as much and be zero."""
        sounding = sorted({self._row(hit.drum) for hit in self.hits})
        frames = MASK_BLOCK * blocks_at_once(device, self.options.batch)
        masker = SequenceMasker(self._sequenced(sounding), self.stft, self.alpha, device, frames)
        for block in masked_stems(self.recording, masker):
            stems = np.zeros((self.options.stems, *block.shape[1:]), np.float32)
            stems[sounding] = block
            yield stems

    def _sequenced(self, rows: Sequence[int]) -> Sequenced:
        """The stems of the given rows, rendered."""
        rate = self.recording.rate
        return Sequenced(
            [(onset_sample(hit, rate), amplitude_of(hit.velocity), hit.drum) for hit in self.hits],
            self.one_shots,
            {drum: rows.index(self._row(drum)) for drum in DRUMS if self._row(drum) in rows},
            self.recording.frames,
            rate,
        )

    def _row(self, drum: Drum) -> int:
        return drum.stem_index if self.options.stems == 5 else drum.position


class SequenceMasker:
    """Masks from rendered stems, whose magnitudes compete for the mixture; a `masking.Masker`.

    Drums of one stem are rendered into one signal, as in the published notebook, and not masked
    apart and summed: the two readings differ by 20 to 60 dB.
    """

    lookahead = 0

    def __init__(
        self, stems: Sequenced, stft: Stft, alpha: float, device: torch.device, block: int
    ) -> None:
        self.stft = stft
        self.device = device
        self.block = block
        self._alpha = alpha
        self._stems = framed_blocks(stems, stft, self.block, self.lookahead, device)

    def masks(self, spectrum: Tensor, start: int) -> Tensor:
        """Masks (K, 1, F, T) of one block, the same for every channel.

        Silent stems cost nothing; square roots of zero take twenty times as long as others.
        """
        _, stems = next(self._stems)
        sounding = stems.any(dim=1)
        masks = stems.new_zeros(len(stems), *spectrum.mT.shape[1:]).mT  # frames in order
        if sounding.any():
            magnitudes = magnitude(self.stft.spectrum(stems[sounding]))
            masks[sounding] = wiener(magnitudes, self._alpha, MASK_EPS)
        return masks.unsqueeze(1)


def _refuse_foreign(options: Options) -> None:
    if options.adapt and not options.mask:
        raise UsageError("synthesised stems cannot be adapted: --adapt works with masks only")
    if options.overlap:
        raise UsageError("idm does not work in chunks: overlap must be 0")
    if options.kit:
        raise UsageError("idm makes the kit that it plays, so it cannot start from yours")


def _late_hits(count: int) -> tuple[str, ...]:
    """What to say of so many hits that the recording is too short for."""
    return (f"hits after the end of the recording: {count}",) if count else ()


def _sounds_in(recording: Recording, hit: Hit) -> bool:
    return onset_sample(hit, recording.rate) < recording.frames


def _kit(one_shots: dict[Drum, Samples], drums: Sequence[Drum], rate: int) -> Kit:
    """Playable one-shots: faded out, levels as the model mixes them, the loudest below clipping."""
    faded = {drum: one_shots[drum] * _fade(one_shots[drum].size, rate) for drum in drums}
    peak = max((float(np.abs(shot).max()) for shot in faded.values()), default=1.0)
    scale = KIT_PEAK / max(peak, 1e-6)
    return Kit(
        tuple(
            OneShot(drum, Audio(np.float32(scale) * shot[None], rate), "synthesised", velocity=1.0)
            for drum, shot in faded.items()
        )
    )


def _fade(length: int, rate: int) -> Samples:
    """Ones (length,) that end in half a cosine period of `FADE` seconds."""
    fading = min(round(FADE * rate), length)
    gain = np.ones(length, np.float32)
    gain[length - fading :] = 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fading))
    return gain
