"""Take a drum recording apart: five stems, the notes as MIDI, the kit as playable one-shots."""

__version__ = "0.1.0"
