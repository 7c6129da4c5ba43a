"""Toms told apart by how they sound: hits of a recording that sound alike are of one drum.

A network names a tom by what toms of that name have in common over many kits, stroke by stroke; so
the strokes of one drum get two names, and two drums share one. Within a recording it is simpler:
each drum has its pitch and its place between left and right. On eval-dev, 24 plain renders and 20
with the sound of records, 83 of 100 pairs of strokes on one tom get one name (74 by the network),
and 5 of 100 on two toms (29): worth 0.3, 0.6 and 0.0 dB.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment

from drumsep.drums import DRUMS

LOW = slice(2, 30)  # bins of the fit's spectra that tell toms apart: 43 to 625 Hz
POWER = 1.25  # of magnitudes: the louder partials count more
ALIKE = 0.11  # cosine distance up to which two hits are of one drum
COMPARED = 300  # hits, at most, that are all compared with each other

TOMS = np.array([drum.position for drum in DRUMS if drum.stem == "toms"])


def one_drum_each(powers: NDArray[np.float32], drums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drums (H,), positions in DRUMS, of at least two hits on toms by what they sound like.

    Those that sound alike are grouped (complete linkage, at most as many groups as there are names
    for toms), and each group gets a name of its own: those that most hits have had.

    Args:
        powers: of each hit, (H, ...).
        drums: what the hits have been called, (H,).
    """
    sounds = _directions(powers.reshape(len(powers), -1) ** (POWER / 2))
    chosen = np.unique(np.linspace(0, len(sounds) - 1, COMPARED).astype(int))
    tree = linkage(_distances(sounds[chosen]), "complete")
    found = fcluster(tree, ALIKE, "distance")
    if found.max() > len(TOMS):
        found = fcluster(tree, len(TOMS), "maxclust")
    middles = [sounds[chosen][found == group].mean(axis=0) for group in np.unique(found)]
    groups = (sounds @ _directions(np.stack(middles)).T).argmax(axis=1)
    votes = np.zeros((len(middles), len(TOMS)))
    np.add.at(votes, (groups, np.searchsorted(TOMS, drums)), 1)
    _, names = linear_sum_assignment(votes, maximize=True)
    named: NDArray[np.int64] = TOMS[names[groups]]
    return named


def _directions(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (N, X) scaled to a length of 1; those of silence stay as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
    lengths[lengths == 0] = 1
    scaled: NDArray[np.float32] = vectors / lengths
    return scaled


def _distances(directions: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine distances of all pairs, as `linkage` takes them."""
    first, second = np.triu_indices(len(directions), 1)
    cosines = (directions @ directions.T)[first, second]
    return np.clip(1 - cosines.astype(np.float64), 0, None)
