"""The memory of a process that trains on a CPU: what one step has freed is there for the next."""

import ctypes
from contextlib import suppress

import jax

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of `mallopt`, by glibc's malloc.h."""


def keep_memory() -> None:
    """Of the whole process, before anything else asks JAX for its devices; nothing is kept where they are not CPUs.

    XLA takes a step's memory anew for each step, and glibc returns it to the system, which clears every page before it
    gives it again: 174,000 pages for a step of `small`, a fifth of its time. glibc can keep what its main arena frees,
    and that is the main thread's: so steps are run in the thread that calls them, which waits for them in any case.
    With another allocator than glibc's nothing but that is changed.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    if jax.default_backend() != "cpu":
        return
    with suppress(AttributeError, TypeError):
        glibc = ctypes.CDLL(None)
        glibc.mallopt(M_MMAP_MAX, 0)  # large blocks, too, come from the arena
        glibc.mallopt(M_TRIM_THRESHOLD, -1)  # whose end is never cut off
