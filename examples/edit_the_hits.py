"""The edit loop in Python: transcribe, change the hits, separate with them.

Here every hit softer than a threshold is thrown away, as one would do with false ghost notes.

python examples/edit_the_hits.py song.wav
"""

import sys
from dataclasses import replace

import drumsep


def main() -> None:
    """Transcribe, keep the loud hits, separate."""
    separator = drumsep.load()
    source = drumsep.AudioFile(sys.argv[1])
    found = separator.transcribe(source)
    loud = tuple(hit for hit in found.hits if hit.velocity > 0.2)
    edited = replace(found, hits=loud, origin="given")

    stream = separator.stream(source, drumsep.Options(hits=edited))
    samples = sum(block.shape[-1] for block in stream.blocks())
    print(f"{len(found.hits)} hits found, {len(loud)} kept, {samples} samples of {stream.names}")


if __name__ == "__main__":
    main()
