"""Toms and hi-hats get the names that `naming` finds for them, from all hits of a recording."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumsep.naming import named_as_most, toms_told_apart
from drumsep.second_look.case import Case, Mask
from drumsep.second_look.look import Look
from drumsep.second_look.scene import Scene


@dataclass(frozen=True)
class Family:
    """Drums of one stem that are mistaken for each other, and what tells them apart."""

    stem: str
    bands: slice
    sides: bool  # whether they stand in different places; then bands are single bins
    named: Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.int64]]

    def doubtful(self, case: Case) -> Mask:
        """Believed hits on these drums."""
        own: Mask = case.believed & case.on(self.stem) & case.open
        return own


FAMILIES = (
    Family("toms", slice(2, 30), sides=True, named=toms_told_apart),  # 43 to 625 Hz
    Family("hihat", slice(12, None), sides=False, named=named_as_most),  # from 258 Hz on
)


class Names:
    """Which drum of its family was hit? Asked once all hits of a recording have been heard."""

    def __init__(self, look: Look) -> None:
        """`look` is what has been learnt of the recording's drums."""
        self._look = look
        # By stem, of all candidates (H, C, B'), zero for those not heard. One array: sounds kept
        # one by one lie between what is freed, and an hour took 200 MB more.
        self._sounds: dict[str, NDArray[np.float32]] = {}

    def listen(self, case: Case, scene: Scene) -> None:
        """Hear the hits that lie in a scene, once it is settled which are believed.

        The look may give no strength to a hit that was first believed after it: that one keeps its
        name, as nothing is known of its sound.
        """
        for family in FAMILIES:
            own = family.doubtful(case) & scene.inside
            if own.any():
                sounds = self._look.sounds(scene, own, family.bands, family.sides)
                if family.stem not in self._sounds:
                    self._sounds[family.stem] = np.zeros((len(own), *sounds.shape[1:]), np.float32)
                self._sounds[family.stem][own] = sounds

    def settle(self, case: Case) -> None:
        """Name hits by what sounds like them, but for those on two drums of a family at once."""
        for family in FAMILIES:
            if family.stem not in self._sounds:
                continue
            sounds = self._sounds[family.stem]
            own = np.flatnonzero(family.doubtful(case) & sounds.any(axis=(1, 2)))
            times, counts = np.unique(case.times[own], return_counts=True)
            own = own[~np.isin(case.times[own], times[counts > 1])]
            if len(own) > 1:
                case.drums[own] = family.named(sounds[own], case.drums[own])
