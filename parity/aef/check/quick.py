"""Compiling in less time."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

FLAG = "jax_disable_most_optimizations"


@contextmanager
def quick_compiles() -> Iterator[None]:
    """Within it, for where it counts what is computed, and not how well it is compiled."""
    before = jax.config.values[FLAG]
    jax.config.update(FLAG, True)
    try:
        yield
    finally:
        jax.config.update(FLAG, before)
