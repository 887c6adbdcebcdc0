"""Read the peak of this process's host memory and return freed memory to the system."""

import ctypes
import re
import resource
from contextlib import suppress
from pathlib import Path


def peak_bytes() -> int:
    """Return the peak memory of this process since it began, or since `release_memory`.

    On Linux the peak is read from /proc, because `getrusage` reports at least the memory of the parent process there.
    Elsewhere it is what `getrusage` reports, in units of 1024 bytes.

    Returns:
        Bytes.
    """
    with suppress(OSError):
        if match := re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text()):
            return 1024 * int(match[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def release_memory() -> None:
    """Return freed memory to the system and reset the peak. Does nothing except on Linux with glibc."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
