"""The memory of a process that computes or reads on a CPU: what was freed is there for the next step or example."""

import ctypes
import os
from contextlib import suppress

import jax

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of `mallopt`, by glibc's malloc.h."""


def keep_memory() -> None:
    """Of a process that computes alone, before anything asks JAX for devices; nothing is done where it has not one CPU.

    XLA takes a step's memory anew for each step, and glibc returns it to the system, which clears every page before it
    gives it again: 174,000 pages for a step of `small`, a fifth of its time. glibc can keep what its main arena frees,
    and that is the main thread's: so steps are run in the thread that calls them, which waits for them in any case.
    With another allocator than glibc's nothing but that is changed.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if jax.config.values["jax_num_cpu_devices"] > 1 or "xla_force_host_platform_device_count" in flags:
        return
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    if jax.default_backend() == "cpu":
        keep_freed()


def keep_freed() -> None:
    """What the main thread frees stays the process's; where the allocator is not glibc's, nothing is done."""
    with suppress(AttributeError, TypeError):
        glibc = ctypes.CDLL(None)
        glibc.mallopt(M_MMAP_MAX, 0)  # large blocks, too, come from the arena
        glibc.mallopt(M_TRIM_THRESHOLD, -1)  # whose end is never cut off
