"""The memory of this process on the processor's side: its peak, and what it keeps though it was freed."""

import ctypes
import re
import resource
from contextlib import suppress
from pathlib import Path


def peak_bytes() -> int:
    """Since the process began, or since `give_back`. Elsewhere than on Linux what `getrusage` says, in its unit of 1024
    bytes; on Linux that is at least what the process had that started this one."""
    with suppress(OSError):
        if found := re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text()):
            return 1024 * int(found[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def give_back() -> None:
    """What was freed goes back to the machine, and the peak is counted anew. Elsewhere than on Linux with glibc nothing
    is done."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
