"""Take a drum recording apart: five stems, the notes as MIDI, the kit as playable one-shots.

>>> separator = drumsep.load()
>>> separation = separator.separate(drumsep.Audio(samples, rate))
>>> separation.stems["kick"].samples
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# What `drumsep.NAME` means, and where it lives: found at first use, so that importing the package
# (as `drumsep --help` does) imports neither torch nor numpy.
_HOMES = {
    "load": "drumsep.loading",
    "Separator": "drumsep.separator",
    "Audio": "drumsep.results",
    "Hit": "drumsep.results",
    "Kit": "drumsep.results",
    "OneShot": "drumsep.results",
    "Options": "drumsep.results",
    "Separation": "drumsep.results",
    "Transcription": "drumsep.results",
    "Drum": "drumsep.drums",
    "AudioFile": "drumsep.audio",
    "DrumsepError": "drumsep.errors",
}
__all__ = [
    "Audio",
    "AudioFile",
    "Drum",
    "DrumsepError",
    "Hit",
    "Kit",
    "OneShot",
    "Options",
    "Separation",
    "Separator",
    "Transcription",
    "load",
]

if TYPE_CHECKING:
    from drumsep.audio import AudioFile
    from drumsep.drums import Drum
    from drumsep.errors import DrumsepError
    from drumsep.loading import load
    from drumsep.results import Audio, Hit, Kit, OneShot, Options, Separation, Transcription
    from drumsep.separator import Separator


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'drumsep' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
