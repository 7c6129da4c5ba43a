"""The vocabulary: nine drums, the five stems they belong to, and their General MIDI notes.

The nine classes and five groups are those of StemGMD (Mezza et al. 2024, Table 2). The order of
the members is the order of every nine-class axis in drumsep.
"""

from enum import StrEnum

STEMS = ("kick", "snare", "toms", "hihat", "cymbals")


class Drum(StrEnum):
    """One of the nine pieces of the kit; its value is its name in files and tables."""

    KICK = "kick"
    SNARE = "snare"
    TOM_HIGH = "tom-high"
    TOM_MID = "tom-mid"
    TOM_FLOOR = "tom-floor"
    HIHAT_CLOSED = "hihat-closed"
    HIHAT_OPEN = "hihat-open"
    CRASH = "crash"
    RIDE = "ride"

    @property
    def position(self) -> int:
        """Position on a nine-class axis."""
        return _POSITION[self]

    @property
    def stem(self) -> str:
        """Name of the stem this drum sounds in, one of `STEMS`."""
        return _STEM[self]

    @property
    def stem_index(self) -> int:
        """Position of `stem` on a five-stem axis."""
        return STEMS.index(_STEM[self])

    @property
    def note(self) -> int:
        """General MIDI percussion note that is written for this drum."""
        return _NOTE[self]


DRUMS = tuple(Drum)
DRUM_NAMES = tuple(drum.value for drum in Drum)

_POSITION = {drum: position for position, drum in enumerate(Drum)}
_STEM = {
    Drum.KICK: "kick",
    Drum.SNARE: "snare",
    Drum.TOM_HIGH: "toms",
    Drum.TOM_MID: "toms",
    Drum.TOM_FLOOR: "toms",
    Drum.HIHAT_CLOSED: "hihat",
    Drum.HIHAT_OPEN: "hihat",
    Drum.CRASH: "cymbals",
    Drum.RIDE: "cymbals",
}
_NOTE = {
    Drum.KICK: 36,
    Drum.SNARE: 38,
    Drum.TOM_HIGH: 50,
    Drum.TOM_MID: 47,
    Drum.TOM_FLOOR: 43,
    Drum.HIHAT_CLOSED: 42,
    Drum.HIHAT_OPEN: 46,
    Drum.CRASH: 49,
    Drum.RIDE: 51,
}

# Every percussion note that is understood when reading MIDI: General MIDI and the Roland
# extensions found in Groove MIDI (22, 26, 58).
DRUM_OF_NOTE = {
    35: Drum.KICK,
    36: Drum.KICK,
    37: Drum.SNARE,
    38: Drum.SNARE,
    39: Drum.SNARE,
    40: Drum.SNARE,
    48: Drum.TOM_HIGH,
    50: Drum.TOM_HIGH,
    45: Drum.TOM_MID,
    47: Drum.TOM_MID,
    41: Drum.TOM_FLOOR,
    43: Drum.TOM_FLOOR,
    58: Drum.TOM_FLOOR,
    22: Drum.HIHAT_CLOSED,
    42: Drum.HIHAT_CLOSED,
    44: Drum.HIHAT_CLOSED,
    26: Drum.HIHAT_OPEN,
    46: Drum.HIHAT_OPEN,
    49: Drum.CRASH,
    52: Drum.CRASH,
    55: Drum.CRASH,
    57: Drum.CRASH,
    51: Drum.RIDE,
    53: Drum.RIDE,
    59: Drum.RIDE,
}
