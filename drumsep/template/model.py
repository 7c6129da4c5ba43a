"""The default model: hits, templates of many kits fitted to the recording, Wiener filters."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from drumsep.adaptation.adapt import adapt
from drumsep.adaptation.own_kit import with_kit
from drumsep.adaptation.strokes import RATE
from drumsep.adaptation.velocities import with_heard_velocities
from drumsep.drums import DRUM_NAMES, STEMS
from drumsep.masking import filtered_stems
from drumsep.recording import Recording
from drumsep.results import Options, Progress, Transcription
from drumsep.separator import Analysis, Model, Transcriber


@dataclass(frozen=True, eq=False)
class TemplateModel:
    """A `separator.Model` made of a transcriber and of templates (9, L, F) on some device.

    Templates have no phase, so what cannot be cut out of the recording is left to a model that
    synthesises: stems without masks, and one-shots. It is loaded when it is first needed.
    """

    templates: Tensor
    transcriber: Transcriber
    synthesiser: Callable[[], Model]
    name: str = "drumsep"

    @property
    def rate(self) -> int:
        """Sample rate it works at, in Hz."""
        return RATE

    def transcribe(
        self, recording: Recording, options: Options, progress: Progress
    ) -> Transcription:
        """Find the hits."""
        return self.transcriber.transcribe(recording, options, progress)

    def analyse(self, recording: Recording, options: Options, progress: Progress) -> Analysis:
        """Find the hits, or take `options.hits`, and fit the templates to the recording.

        Drums of `options.kit` start from its one-shots. Without `options.mask` the stems are those
        of the synthesiser.

        Raises:
            DrumsepError: the synthesiser cannot do what the options ask.
        """
        found = options.hits or self.transcribe(recording, options, progress)
        if not options.mask:
            return self._synthesised(found, recording, options, progress)
        start = with_kit(self.templates, options.kit)
        adapted = adapt(start, found, recording, options, progress)
        believed = options.hits is not None or options.adapt == 0
        return Analysis(
            names=STEMS if options.stems == len(STEMS) else DRUM_NAMES,
            transcription=found if believed else with_heard_velocities(found, adapted),
            stems=lambda: filtered_stems(recording, adapted.filter(options)),
            kit=lambda: self._synthesised(
                found, recording, Options(seed=options.seed), progress
            ).kit(),
            warnings=adapted.warnings(found),
        )

    def _synthesised(
        self,
        transcription: Transcription,
        recording: Recording,
        options: Options,
        progress: Progress,
    ) -> Analysis:
        """What the synthesiser makes of the hits."""
        own = replace(options, hits=transcription)
        return self.synthesiser().analyse(recording, own, progress)
