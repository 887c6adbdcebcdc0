"""Proof that a PyTorch and a Flax NNX model compute the same; weights, and whole training runs, from one to the other.

    from parity import ModelMap, assert_parity, bisect, compare

For any two models; parity.aef is the first client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity.comparison.assertion import assert_parity
    from parity.comparison.bisection import bisect
    from parity.comparison.compare import Comparison, compare
    from parity.comparison.pair import Pair
    from parity.mapping.model_map import ModelMap

_HOMES = {
    "Comparison": "parity.comparison.compare",
    "ModelMap": "parity.mapping.model_map",
    "Pair": "parity.comparison.pair",
    "assert_parity": "parity.comparison.assertion",
    "bisect": "parity.comparison.bisection",
    "compare": "parity.comparison.compare",
}

__all__ = ["Comparison", "ModelMap", "Pair", "assert_parity", "bisect", "compare"]


def __getattr__(name: str) -> Any:
    """On first use: a command's --help should not wait for two frameworks to be imported."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
