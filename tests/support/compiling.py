"""Change JAX's settings temporarily."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache


@contextmanager
def applied(settings: Mapping[str, Any]) -> Iterator[None]:
    """Apply JAX's settings, by name, and restore them afterwards."""
    before = {name: jax.config.values[name] for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # it would keep to the folder that it began with
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
