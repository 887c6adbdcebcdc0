"""Convert PyTorch tensors to NumPy arrays and back, bit for bit, in any dtype that both have (also bfloat16)."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from parity.mapping.spec import Spec, check_specs


def to_numpy(tensor: Shaped[Tensor, "*N"]) -> Shaped[np.ndarray, "*N"]:
    # through bytes, because PyTorch cannot convert bfloat16 to NumPy
    """Convert a tensor.

    Args:
        tensor: On any device.

    Returns:
        The array; it shares memory with a contiguous CPU tensor.
    """
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return flat.numpy().view(_numpy_dtype(tensor.dtype)).reshape(tensor.shape)


def to_tensor(array: Shaped[np.ndarray, "*N"]) -> Shaped[Tensor, "*N"]:
    """Convert an array.

    Args:
        array: In any memory order.

    Returns:
        A copy on the CPU, contiguous.
    """
    flat = np.array(array, order="C").reshape(-1).view(np.uint8)
    return torch.from_numpy(flat).view(getattr(torch, array.dtype.name)).reshape(array.shape)


def torch_arrays(module: nn.Module) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Convert a module's state_dict.

    Args:
        module: The module.

    Returns:
        Arrays by name; those of CPU tensors share their memory.
    """
    return {name: to_numpy(tensor) for name, tensor in module.state_dict().items()}


def torch_specs(module: nn.Module) -> dict[str, Spec]:
    """Describe the tensors of a module's state_dict.

    Args:
        module: The module, maybe on the meta device.

    Returns:
        Shapes and dtypes by name.
    """
    return {name: Spec(tuple(tensor.shape), _numpy_dtype(tensor.dtype)) for name, tensor in module.state_dict().items()}


def load_torch(module: nn.Module, arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> None:
    """Copy arrays into a module, on whatever device it is. If they do not fit, nothing changes.

    Args:
        module: The module.
        arrays: Arrays by PyTorch's names, in its layout.

    Raises:
        WeightsError: If they are not exactly those of its state_dict.
    """
    check_specs({name: Spec.of(array) for name, array in arrays.items()}, torch_specs(module))
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            tensor.copy_(to_tensor(arrays[name]))


def _numpy_dtype(dtype: torch.dtype) -> np.dtype:
    return jnp.dtype(str(dtype).removeprefix("torch."))
