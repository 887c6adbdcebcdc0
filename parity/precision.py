"""Matrix products in the highest precision that both frameworks have, and a sentence on what was in force."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import torch

HIGHEST = "highest"
_JAX_SETTING = "jax_default_matmul_precision"  # by name: type checkers do not know it


@contextmanager
def matmul_precision(precision: str = HIGHEST) -> Iterator[None]:
    """`highest`, `high` or `medium` in PyTorch; in JAX `highest`, `high` or `default`. Nothing is left changed."""
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
    """PyTorch's first float64 erf of a process has been seen to be off by 3e-11; an oracle must not be."""
    torch.erf(torch.ones(64, dtype=torch.float64))


def in_force() -> dict[str, str]:
    """The versions, devices and matmul precisions that numbers were computed with."""
    return {
        "JAX": f"{jax.__version__} on {jax.devices()[0].device_kind} ({jax.default_backend()})",
        "JAX matmul precision": str(getattr(jax.config, _JAX_SETTING)),
        "PyTorch": f"{torch.__version__} with {torch.get_num_threads()} threads",
        "PyTorch float32 matmul precision": torch.get_float32_matmul_precision(),
        "PyTorch cuDNN TF32": str(torch.backends.cudnn.allow_tf32),
    }
