"""The memory of this process: how much it has had, and what becomes of memory that is freed."""

import ctypes
import sys
from pathlib import Path

KEPT = 256 << 20  # bytes of freed memory that stay with the process
LARGEST = 32 << 20  # bytes of an allocation of which that holds; the most that glibc takes
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's mallopt


def peak_memory() -> int | None:
    """The most memory this process has had resident, in bytes; None where no one tells.

    Linux: VmHWM, since ru_maxrss there starts from the size of the process that started this one.
    """
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError, ValueError):
        pass
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def keep_freed() -> bool:
    """Use freed memory again instead of returning it to the system, up to `KEPT`.

    A network of large images frees and asks for many megabytes per layer. Each page that comes back
    from the system is cleared first: a tenth of LarsNet's time. Peaks become no higher by it. Holds
    for the whole process; False where the C library is not glibc, which is then left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(_TRIM_THRESHOLD, KEPT) and mallopt(_MMAP_THRESHOLD, LARGEST))
