"""Compiling in less time, for where it counts what is computed, and not how well it is compiled."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

QUICK: dict[str, str | bool | int | float] = {"xla_backend_optimization_level": 0}
"""Options of `jax.jit`: with them XLA's CPU backend takes a quarter of the time."""
if jax.__version_info__ < (0, 11):  # later ones have no other emitters to use, and no such option
    QUICK["xla_cpu_use_fusion_emitters"] = False

FLAG = "jax_disable_most_optimizations"


@contextmanager
def quick_compiles() -> Iterator[None]:
    """Within it all is compiled with little optimisation."""
    before = jax.config.values[FLAG]
    jax.config.update(FLAG, True)
    try:
        yield
    finally:
        jax.config.update(FLAG, before)
