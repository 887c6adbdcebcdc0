"""Compute matrix products in the highest precision that both frameworks have, or in another; report the settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
import torch

PRECISIONS = ("highest", "high", "medium")
"""PyTorch's names. From `high` on, a GPU rounds float32 to TF32; a TPU uses three parts of bfloat16, then one."""
HIGHEST = PRECISIONS[0]
_JAX_SETTING = "jax_default_matmul_precision"  # by name: type checkers do not know it


_asked: ContextVar[str] = ContextVar("asked", default=HIGHEST)


@contextmanager
def use_precision(precision: str) -> Iterator[None]:
    """Compute in this precision everything that `matmul_precision` covers.

    Args:
        precision: One of `PRECISIONS`.

    Yields:
        Nothing.

    Raises:
        ValueError: If there is no such precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    token = _asked.set(precision)
    try:
        yield
    finally:
        _asked.reset(token)


@contextmanager
def matmul_precision() -> Iterator[None]:
    """Set both frameworks to the precision of `use_precision`, and restore their settings afterwards.

    JAX calls `medium` its default.

    Yields:
        Nothing.
    """
    precision = _asked.get()
    before = torch.get_float32_matmul_precision()
    convolutions = torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision(precision)
    torch.backends.cudnn.allow_tf32 = precision != HIGHEST
    warm_up()
    try:
        with jax.default_matmul_precision("default" if precision == "medium" else precision):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = convolutions


def warm_up() -> None:
    """Compute a float64 erf once: PyTorch's first one of a process has been seen to be off by 3e-11."""
    torch.erf(torch.ones(64, dtype=torch.float64))


def in_force() -> dict[str, str]:
    """Report the versions, devices and matmul precisions in use.

    Returns:
        Texts by name.
    """
    return {
        "JAX": f"{jax.__version__} on {jax.devices()[0].device_kind} ({jax.default_backend()})",
        "JAX matmul precision": str(getattr(jax.config, _JAX_SETTING)),
        "PyTorch": f"{torch.__version__} with {torch.get_num_threads()} threads",
        "PyTorch float32 matmul precision": torch.get_float32_matmul_precision(),
        "PyTorch cuDNN TF32": str(torch.backends.cudnn.allow_tf32),
    }
