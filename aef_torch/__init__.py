"""AlphaEarth Foundations in PyTorch: the reference, to be read beside aef_jax."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from aef_packages import require

if TYPE_CHECKING:
    from aef_torch.inference.load_weights import load_weights
    from aef_torch.model.alphaearth import AlphaEarth
    from configs.fields.embedder import Embedder

__all__ = ["AlphaEarth", "Embedder", "__version__", "load_weights"]
__version__ = version("aef")
require("configs")

_MODULES = {
    "AlphaEarth": "aef_torch.model.alphaearth",
    "Embedder": "configs.fields.embedder",
    "load_weights": "aef_torch.inference.load_weights",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
