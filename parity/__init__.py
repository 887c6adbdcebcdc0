"""Proof that a PyTorch and a Flax NNX model compute the same; weights, and whole training runs, from one to the other.

    from parity import ModelMap, assert_parity, bisect, compare

For any two models; parity.aef is the first client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity.compare.assertion import assert_parity
    from parity.compare.bisection import bisect
    from parity.compare.comparison import Comparison, compare
    from parity.compare.pair import Pair
    from parity.mapping.model_map import ModelMap

_HOMES = {
    "Comparison": "parity.compare.comparison",
    "ModelMap": "parity.mapping.model_map",
    "Pair": "parity.compare.pair",
    "assert_parity": "parity.compare.assertion",
    "bisect": "parity.compare.bisection",
    "compare": "parity.compare.comparison",
}

__all__ = ["Comparison", "ModelMap", "Pair", "assert_parity", "bisect", "compare"]


def __getattr__(name: str) -> Any:
    """On first use: a command's --help should not wait for two frameworks to be imported."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
