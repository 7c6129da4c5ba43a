"""Write `larsnet.npz`: what a small LarsNet makes of a short sound, weights and sound by formula.

    python -m tests.goldens.make_larsnet

The same numbers are computed again by `tests/test_larsnet_model.py`, so that a change of the
arithmetic shows where the published goldens are absent.
"""

from pathlib import Path

import numpy as np
import torch

from drumsep.larsnet.model import LarsNetModel
from drumsep.larsnet.network import Dimensions, LarsNet, from_state, shapes, to_metadata
from drumsep.results import Options, Transcription
from drumsep.separator import Separator
from tests.conftest import drum_loop

PATH = Path(__file__).parent / "larsnet.npz"

SMALL = Dimensions(n_fft=256, hop=64, frames=64, base=2)
COMPACT = Dimensions(n_fft=256, hop=64, frames=64, base=2, nets=1)
SETTINGS = {
    "plain": Options(mask=False),
    "wiener": Options(),
    "alpha2": Options(alpha=2.0),
    "overlap": Options(overlap=0.25),
}
WINDOW = slice(3900, 4300)  # samples around the border of the first two chunks


def toy_state(dimensions: Dimensions, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights that keep activations near one, and statistics that are not those of a start."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, shape in shapes(dimensions).items():
        spread = rng.uniform(-1, 1, shape)
        if name.endswith("num_batches_tracked"):
            value = np.zeros(shape, np.int64)
        elif name.endswith("running_var"):
            value = 0.6 + 0.2 * spread
        elif len(shape) == 4:
            gain = 1 if "mask" in name else 6
            value = spread * np.sqrt(gain / np.prod(shape[1:]))
        elif name.endswith("norm.weight"):
            value = 1 + 0.3 * spread
        else:
            value = 0.3 * spread
        dtype = np.int64 if value.dtype == np.int64 else np.float32
        state[name] = torch.from_numpy(np.asarray(value, dtype))
    return state


def toy(dimensions: Dimensions, seed: int = 0) -> LarsNet:
    """A network of these dimensions, ready to run."""
    return from_state(toy_state(dimensions, seed), to_metadata(dimensions))


def stems(network: LarsNet, options: Options, seconds: float = 0.25) -> np.ndarray:
    """Stems (5, 2, n) of a short loop; its hits are given, for no stem depends on them."""
    separator = Separator(LarsNetModel(network, "toy"))
    loop = drum_loop(seconds)
    given = Options(**(vars(options) | {"hits": Transcription((), seconds)}))
    separation = separator.separate(loop, given)
    return np.stack([stem.samples for stem in separation.stems.values()])


def goldens() -> dict[str, np.ndarray]:
    """All arrays of the file."""
    small = toy(SMALL)
    arrays = {name: stems(small, options)[..., WINDOW] for name, options in SETTINGS.items()}
    arrays["compact"] = stems(toy(COMPACT), Options())[..., WINDOW]
    return arrays


if __name__ == "__main__":
    np.savez_compressed(PATH, **goldens())
