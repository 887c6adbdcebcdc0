"""AlphaEarth Foundations in JAX: the model in Flax NNX, its training, and embedding fields from it."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from aef_packages import require

if TYPE_CHECKING:
    from aef_jax.inference.load_run import load_run
    from aef_jax.model.alphaearth import AlphaEarth
    from aef_jax.training.train import train
    from configs.fields.embedder import Embedder

__all__ = ["AlphaEarth", "Embedder", "__version__", "load_run", "train"]
__version__ = version("aef")
require("configs")

_MODULES = {
    "AlphaEarth": "aef_jax.model.alphaearth",
    "Embedder": "configs.fields.embedder",
    "load_run": "aef_jax.inference.load_run",
    "train": "aef_jax.training.train",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: a command's --help must not wait for JAX."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
