"""Training the transcriber: targets, the step, and the scores checkpoints are chosen by."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from drumsep import weights
from drumsep.drums import DRUMS
from drumsep.errors import DrumsepError
from drumsep.sampled_kits import credits, read_kits
from drumsep.train.data import PAPER_RECIPE, Clips, Recipe
from drumsep.train.grooves import read_grooves
from drumsep.train.growing import grown, halfway
from drumsep.train.loop import Batch, Report, TrainOptions, run
from drumsep.train.losses import onset_loss, velocity_loss
from drumsep.train.mixing import HEAVY, NONE, Mix
from drumsep.train.stem_recordings import credit, read_stem_recordings
from drumsep.train.storing import save
from drumsep.train.thresholds import WINDOW, f_measures, fit_thresholds, found_in
from drumsep.train.validation import Annotated, at_peak, read_recordings, rendered
from drumsep.transcriber.ensemble import Ensemble, from_state, to_metadata
from drumsep.transcriber.network import SECOND, Dimensions, Transcriber, compressed
from drumsep.transcriber.peaks import LEAN, SIDE

COMMAND = "drumsep train transcriber"
LEARNING_RATE, BATCH = 2e-3, 8  # unless asked otherwise

FAINTEST = 10 ** (-30 / 20)  # prominence under which a hit may be found or not
UNCERTAIN = 2  # frames around such a hit that count neither way
QUIETEST = 25.0  # dB below full scale, of a clip
TONE_SPREAD = 0.25  # nepers, of random tone controls on the log-mel spectrogram
VELOCITY_WEIGHT = 5.0  # of the mean square error, which is 20 times smaller than the onset loss
USES = 3  # of every clip: rendering takes as long as learning
RETURN = 30  # batches between them; a multiple of the number of workers
HEAVY_RECIPE = Recipe(plain=0.0, tone=0.8, doubling=0.15, splice=0.0, strength=HEAVY)
HEAVY_CLIPS = 50
HEAVY_SEED = 20_000
# Augmented as LarsNet's training clips are, but every one of them.
AUGMENTED_RECIPE = replace(PAPER_RECIPE, seconds=10.0, channels=1, together=True, plain=0.0)
AUGMENTED_CLIPS = 50
AUGMENTED_SEED = 25_000
PLAIN_RECIPE = Recipe(seconds=10.0, plain=1.0, strength=NONE)
PLAIN_CLIPS = 120  # thresholds fitted to fewer follow the kits in them
PLAIN_SEED = 30_303


def targets(mix: Mix, dimensions: Dimensions, frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """Onset targets, velocities and weights (9, T) each, for a clip of `frames` frames.

    An onset is 1 in its frame; the frames beside it say how far it is from the frame's middle
    (`peaks.SIDE`, `peaks.LEAN`). Hits too faint to hear have weight 0.
    """
    onsets, velocities = np.zeros((2, len(DRUMS), frames), np.float32)
    weights = np.ones((len(DRUMS), frames), np.float32)
    hits = mix.rendering
    places = hits.onsets / dimensions.hop
    for place, drum, velocity, prominence in zip(
        places, hits.drums, hits.velocities, mix.prominence, strict=True
    ):
        frame = round(place)
        if frame >= frames:
            continue
        if prominence < FAINTEST:
            weights[drum, max(frame - UNCERTAIN, 0) : frame + UNCERTAIN + 1] = 0
        onsets[drum, frame] = 1
        velocities[drum, frame] = max(velocities[drum, frame], velocity)
        for side in (-1, 1):
            if 0 <= frame + side < frames:
                mark = SIDE + side * LEAN * (place - frame)
                onsets[drum, frame + side] = max(onsets[drum, frame + side], mark)
    return torch.from_numpy(onsets), torch.from_numpy(velocities), torch.from_numpy(weights)


class TranscriberTrainee:
    """A `Transcriber` with its clips and validation sets, for `loop.run`."""

    def __init__(
        self,
        network: Transcriber,
        clips: Clips,
        batch: int,
        validation: Mapping[str, Sequence[Annotated]],
    ) -> None:
        self.network: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dimensions = network.dimensions
        self.validation = validation
        self._clips = clips
        self._batch = batch
        self._listener = Transcriber(network.dimensions)  # on the CPU, where clips are made
        self._examples: dict[int, Batch] = {}
        self._share = -(-batch // USES)

    def batch(self, number: int) -> Batch:
        """Magnitudes (B, 2, bands, T); onsets, velocities and weights (B, 9, T).

        A third of the clips are new; the others were new `RETURN` and twice as many batches ago,
        and come at another level.
        """
        clips = [
            (number + turn * RETURN) * self._share + place
            for turn in reversed(range(USES))
            for place in range(self._share)
        ][: self._batch]
        rng = np.random.default_rng((1, number))
        rows = [_at_level(self._example(clip), rng) for clip in clips]
        self._forget(before=(number + 1) * self._share)
        return tuple(torch.stack(column) for column in zip(*rows, strict=True))

    def _example(self, number: int) -> Batch:
        """Clip `number`, its mixture's peak at 1, and its targets; kept for a while."""
        if number not in self._examples:
            mix = self._clips[number]
            samples = torch.from_numpy(at_peak(mix.mixture.mean(axis=0)))
            with torch.no_grad():
                mel = self._listener.mel(samples[None])[0]
            self._examples[number] = mel, *targets(mix, self.dimensions, mel.shape[-1])
        return self._examples[number]

    def _forget(self, before: int) -> None:
        """Drop examples that no later batch asks for."""
        self._examples = {clip: kept for clip, kept in self._examples.items() if clip >= before}

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Onset and velocity losses of one batch."""
        mel, onsets, velocities, weights = batch
        logits, found = network(_with_tone(compressed(mel)))
        onset = onset_loss(logits.float(), onsets, weights)
        velocity = velocity_loss(found.float(), velocities, onsets, weights)
        return {"loss": onset + VELOCITY_WEIGHT * velocity, "onset": onset, "velocity": velocity}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Onset F at 50 ms of every set with unfitted thresholds; the score is their mean."""
        assert isinstance(network, Transcriber)
        scores: dict[str, float] = {}
        for name, recordings in self.validation.items():
            found = found_in(Ensemble([network]), recordings)
            measured = f_measures(found, recordings, self.dimensions.frame_rate, WINDOW)
            scores |= {f"{name} {stem}": value for stem, value in measured.items()}
        overall = [value for name, value in scores.items() if name.endswith(" all")]
        return {"score": float(np.mean(overall)) if overall else 0.0, **scores}


def _at_level(example: Batch, rng: np.random.Generator) -> Batch:
    """An example up to QUIETEST dB softer."""
    mel, *truth = example
    level = -min(abs(rng.normal(0, 7)), QUIETEST)
    return mel * 10 ** (level / 20), *truth


def _with_tone(log_mel: Tensor) -> Tensor:
    """Log-mel (B, 2, bands, T) under random tone controls, the same for both windows."""
    points = torch.randn(len(log_mel), 1, 7, device=log_mel.device) * TONE_SPREAD
    tone = functional.interpolate(points, size=log_mel.shape[2], mode="linear")
    return functional.relu(log_mel + tone[..., None])


def train(
    options: TrainOptions,
    report: Report = lambda line: None,
    dimensions: Dimensions | None = None,
) -> Ensemble:
    """Train a transcriber, of the shipped dimensions by default, and store it in `options.out`.

    Where `options.start` is given, it begins as that ended, and what is stored is halfway from
    there to where training ended. With `options.beside` the networks stored there and the new one
    are stored together. Thresholds are fitted to the validation sets; without any they stay as they
    are.

    Raises:
        DrumsepError: `options.start` holds more than one network, or one that is larger.
    """
    kits, sets = read_kits(options.kits, channels=1), validation_sets(options)
    recordings = read_stem_recordings(options.stems, needed="onsets")
    clips = Clips(kits, read_grooves(options.grooves), Recipe(), options.seed, recordings)
    start, beside = _card(options.start), _card(options.beside)
    begun = _begun(start, dimensions or (SECOND if beside else Dimensions()))
    trainee = TranscriberTrainee(copy.deepcopy(begun), clips, options.batch, sets)
    network = run(trainee, options, report)
    assert isinstance(network, Transcriber)
    if start:
        network = halfway(begun, network)
    others = from_state(*weights.read(beside)).members if beside else ()
    ensemble = Ensemble([*others, network]).eval()
    if sets:
        ensemble.thresholds.copy_(torch.from_numpy(fit_thresholds(ensemble, sets)))
    source = f"trained on Groove MIDI (CC-BY-4.0) rendered with {credits(kits)}"
    source += credit(options.stems, recordings)
    for what, card in (("begun", start), ("together", beside)):
        if card and card.source != source:
            source += f"; {what} with weights {card.source}"
    metadata = to_metadata(ensemble, options.licence, COMMAND)
    # In half precision the file is half as large; probabilities change by a thousandth.
    save(copy.deepcopy(ensemble).half(), options, "transcriber", metadata, source)
    return ensemble


def _card(path: Path | None) -> weights.ModelCard | None:
    return weights.read_card(path) if path else None


def _begun(start: weights.ModelCard | None, dimensions: Dimensions) -> Transcriber:
    """A new network, or a stored one with as much room."""
    if start is None:
        return Transcriber(dimensions)
    stored = from_state(*weights.read(start)).members
    if len(stored) > 1:
        raise DrumsepError(f"{start.name} holds {len(stored)} networks: training begins with one")
    return grown(stored[0], dimensions)


def validation_sets(options: TrainOptions) -> dict[str, tuple[Annotated, ...]]:
    """The recordings named in the options and, with validation kits, three sets of renderings.

    One is mixed heavily, one not at all, and one has the augmentations of the LarsNet paper.
    """
    sets = {Path(folder).name: read_recordings(folder) for folder in options.recordings}
    if options.validation_kits:
        kits = read_kits(options.validation_kits, channels=1)
        grooves = read_grooves(options.grooves, "validation")
        for name, recipe, seed, count in (
            ("heavy", HEAVY_RECIPE, HEAVY_SEED, HEAVY_CLIPS),
            ("augmented", AUGMENTED_RECIPE, AUGMENTED_SEED, AUGMENTED_CLIPS),
            ("plain", PLAIN_RECIPE, PLAIN_SEED, PLAIN_CLIPS),
        ):
            sets[name] = rendered(Clips(kits, grooves, recipe, seed), count)
    return sets
