"""PyTorch tensors as NumPy arrays and back, bit for bit in any dtype that both have (bfloat16 among them)."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from parity.mapping.spec import Spec, check_specs


def to_numpy(tensor: Shaped[Tensor, "*N"]) -> Shaped[np.ndarray, "*N"]:
    # through bytes, because PyTorch hands NumPy no bfloat16
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return flat.numpy().view(_numpy_dtype(tensor.dtype)).reshape(tensor.shape)


def to_tensor(array: Shaped[np.ndarray, "*N"]) -> Shaped[Tensor, "*N"]:
    """A copy, in PyTorch's memory order."""
    flat = np.array(array, order="C").reshape(-1).view(np.uint8)
    return torch.from_numpy(flat).view(getattr(torch, array.dtype.name)).reshape(array.shape)


def torch_arrays(module: nn.Module) -> dict[str, Shaped[np.ndarray, "..."]]:
    """All of the module's state_dict; arrays share its memory where it lies on the CPU."""
    return {name: to_numpy(tensor) for name, tensor in module.state_dict().items()}


def torch_specs(module: nn.Module) -> dict[str, Spec]:
    """What the module's state_dict expects; the module may be on the meta device."""
    return {name: Spec(tuple(tensor.shape), _numpy_dtype(tensor.dtype)) for name, tensor in module.state_dict().items()}


def load_torch(module: nn.Module, arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> None:
    """Copies arrays of PyTorch's names and layout into the module, whatever device it is on.

    Raises WeightsError where they are not exactly those of its state_dict, and changes nothing then.
    """
    check_specs({name: Spec.of(array) for name, array in arrays.items()}, torch_specs(module))
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            tensor.copy_(to_tensor(arrays[name]))


def _numpy_dtype(dtype: torch.dtype) -> np.dtype:
    return jnp.dtype(str(dtype).removeprefix("torch."))
