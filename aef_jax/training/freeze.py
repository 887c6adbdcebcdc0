"""Parameters that training leaves as they are, by patterns of their names (`training.freeze`)."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import DictKey

from configs.config import Config
from configs.serialization.config_json import nearest


def freezer(patterns: str) -> Callable[[Any], Any]:
    """Make a function that sets what belongs to frozen parameters to zero.

    Without gradients a parameter has no part in the norm that is clipped, and its moments stay 0; without updates it
    does not decay either.

    Args:
        patterns: as `training.freeze`.

    Returns:
        A function of gradients or updates, a tree like that of the parameters.
    """

    def without_frozen(path: tuple, leaf: jax.Array) -> jax.Array:
        return jnp.zeros_like(leaf) if _is_frozen(_name(path), _split(patterns)) else leaf

    return lambda tree: jax.tree_util.tree_map_with_path(without_frozen, tree) if patterns else tree


def require_freezable(config: Config, params: Any) -> None:
    """Require that each pattern matches parameters, and that some parameter is left to train.

    Args:
        config: of the run.
        params: the parameters, possibly abstract.

    Raises:
        ValueError: a pattern matches nothing, or together they match everything.
    """
    names = [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    patterns = _split(config.training.freeze)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"training.freeze: no parameter has a name like {pattern!r}; {nearest(pattern, names)}")
    if all(_is_frozen(name, patterns) for name in names):
        raise ValueError(f"training.freeze is {config.training.freeze!r}: nothing is left to train")


def _split(patterns: str) -> list[str]:
    return [pattern.strip() for pattern in patterns.split(",")] if patterns else []


def _is_frozen(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _name(path: tuple) -> str:
    return ".".join(str(key.key) for key in path if isinstance(key, DictKey))
