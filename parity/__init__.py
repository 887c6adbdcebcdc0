"""Test that a PyTorch and a Flax NNX model compute the same; move weights and training runs between them.

    from parity import ModelMap, assert_parity, bisect, compare

These work for any two models; parity.aef applies them to AEF.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from aef_packages import require

if TYPE_CHECKING:
    from parity.comparison.assertion import assert_parity
    from parity.comparison.bisection import bisect
    from parity.comparison.compare import Comparison, compare
    from parity.comparison.pair import Pair
    from parity.mapping.model_map import ModelMap

__all__ = ["Comparison", "ModelMap", "Pair", "__version__", "assert_parity", "bisect", "compare"]
__version__ = version("aef")
require("configs")

_MODULES = {
    "Comparison": "parity.comparison.compare",
    "ModelMap": "parity.mapping.model_map",
    "Pair": "parity.comparison.pair",
    "assert_parity": "parity.comparison.assertion",
    "bisect": "parity.comparison.bisection",
    "compare": "parity.comparison.compare",
}


def __getattr__(name: str) -> Any:
    """Import a name on first use, so that a command's --help does not wait for two frameworks."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
