"""Write `idm.npz`: what a tiny IDM makes of a short sound, weights and sound by formula.

    python -m tests.goldens.make_idm

The same numbers are computed again by `tests/test_idm_model.py`, so that a change of the
arithmetic shows where the published goldens are absent.
"""

from pathlib import Path

import numpy as np
import torch

from drumsep.idm.listening import listen
from drumsep.idm.model import IdmModel
from drumsep.idm.network import Dimensions, Idm, from_state, to_metadata
from drumsep.recording import survey
from drumsep.results import Options, no_progress
from drumsep.separator import Separator
from tests.conftest import drum_loop

PATH = Path(__file__).parent / "idm.npz"

# The smallest that has every kind of layer, a dilation beyond `synthesis.WIDE` included.
TOY = Dimensions(
    rate=8000,
    n_fft=128,
    hop=32,
    bands=16,
    widths=(2, 3),
    depths=(1, 1),
    kits=2,
    gain_width=2,
    channels=3,
    blocks=9,
    kernel=3,
    one_shot=1500,
)
SETTINGS = {
    "alpha1": Options(),
    "alpha2_nine": Options(alpha=2.0, stems=9),
    "direct": Options(mask=False, seed=1),
}
WINDOW = slice(2420, 2520)  # samples of the stems that are kept
FRAMES = slice(None, None, 16)  # frames of the curves that are kept


def toy_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights that keep every stage alive: features near one, onsets that come and go."""
    rng = np.random.default_rng(seed)
    fixed = ("mel_filters", "synthesis.max_decay")
    state = {}
    for name, value in Idm(TOY).state_dict().items():
        spread = torch.from_numpy(rng.uniform(-1, 1, value.shape).astype(np.float32))
        fan_in = max(value[0].numel(), 1) if value.ndim > 1 else 1
        gain = 12.0 if name == "hits.onset.weight" else 1.7
        if name in fixed:
            state[name] = value
        elif value.ndim <= 1 or fan_in == 1:
            state[name] = 0.3 * spread + float("norm.weight" in name or "halvings.0.0.w" in name)
        else:
            state[name] = spread * gain / fan_in**0.5
    return state


def toy(seed: int = 0) -> Idm:
    """A tiny network, ready to run."""
    return from_state(toy_state(seed), to_metadata(TOY))


def toy_model(seed: int = 0) -> IdmModel:
    """A tiny model on the CPU."""
    return IdmModel(toy(seed))


def compute() -> dict[str, np.ndarray]:
    """What the golden file holds."""
    audio = drum_loop(seconds=1.0, rate=TOY.rate)
    heard = listen(toy(), survey(audio, TOY.rate), no_progress)
    values = {
        "onsets": heard.onsets[:, FRAMES],
        "amplitudes": heard.amplitudes[:, FRAMES],
        "kit": heard.kit.numpy(),
        "gains": heard.gains,
    }
    for name, options in SETTINGS.items():
        separation = Separator(toy_model()).separate(audio, options)
        stems = np.stack([stem.samples[:, WINDOW] for stem in separation.stems.values()])
        values[name] = stems
        values["times"] = np.array([hit.time for hit in separation.transcription.hits])
        values["drums"] = np.array([hit.drum.position for hit in separation.transcription.hits])
    return values


if __name__ == "__main__":
    np.savez_compressed(PATH, **compute())
