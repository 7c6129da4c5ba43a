"""`drumsep.memory`: peaks, and memory that is used again."""

import subprocess
import sys

import numpy as np
import pytest

from drumsep import memory

IMAGES = 20  # of 16 MB each: 4096 pages
COUNT_FAULTS = f"""
import resource, sys
import numpy as np
from drumsep import memory
if "keep" in sys.argv and not memory.keep_freed():
    sys.exit(3)
np.ones(memory.LARGEST // 2)  # what there is of free memory after the imports is used up
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({IMAGES}):
    both = np.ones(1 << 21), np.ones(1 << 21)
    del both
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments: str) -> int:
    """Pages that the system gave to a process of its own."""
    command = [sys.executable, "-c", COUNT_FAULTS, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode == 3:
        pytest.skip("the C library is not glibc")
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


def test_peaks_never_fall() -> None:
    before = memory.peak_memory()
    ballast = np.ones(4_000_000)
    after = memory.peak_memory()
    if before is None or after is None:
        pytest.skip("this system does not tell")
    assert after >= before > 1_000_000 and ballast.nbytes > 0


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_what_was_freed_is_used_again() -> None:
    assert faults("keep") < faults() / 4
