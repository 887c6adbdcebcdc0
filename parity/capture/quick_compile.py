"""Compile in less time, for uses where only the numbers matter and not the speed of the program."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

QUICK: dict[str, str | bool | int | float] = {"xla_backend_optimization_level": 0}
"""Options of `jax.jit` with which XLA's CPU backend takes a quarter of the time."""
if jax.__version_info__ < (0, 11):  # later versions have no such option, and no other emitters
    QUICK["xla_cpu_use_fusion_emitters"] = False

FLAG = "jax_disable_most_optimizations"


@contextmanager
def quick_compiles() -> Iterator[None]:
    """Compile everything inside with few optimizations.

    Yields:
        Nothing.
    """
    before = jax.config.values[FLAG]
    jax.config.update(FLAG, True)
    try:
        yield
    finally:
        jax.config.update(FLAG, before)
