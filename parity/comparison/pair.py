"""Hold two models that should compute the same, and measure calls of both against a float64 oracle."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from torch import nn

from parity.capture.calls import WHOLE, Call, Computed
from parity.capture.jax_side import JaxSide
from parity.capture.tensors import torch_arrays
from parity.capture.torch_side import TorchSide, cast_copies
from parity.capture.trees import cast, is_real, random_like
from parity.comparison.metrics import TensorComparison, compare_tensor, rms
from parity.comparison.precision import matmul_precision
from parity.mapping.model_map import AS_NAMED, ModelMap
from parity.mapping.nnx_modules import modules
from parity.mapping.weights import to_jax

ORACLE = "float64"


@dataclass(frozen=True)
class Measurement:
    """One tensor of one call."""

    call: str
    label: str
    kind: str
    """`output`, `updated state`, `gradient of output`, `gradient of parameter` or `gradient of input`."""
    tensor: TensorComparison

    @property
    def forward(self) -> bool:
        """Whether the forward pass computes it."""
        return self.kind in ("output", "updated state")

    @property
    def title(self) -> str:
        """The tensor's name for a reader."""
        of_call = f"{self.call}: " if self.call else ""
        return f"{of_call}{self.kind} {self.tensor.name}".rstrip()


class Pair:
    """A PyTorch model and a Flax NNX model, in every precision, with the same weights.

    Args:
        torch: The PyTorch model.
        jax: The JAX model.
    """

    def __init__(self, torch: TorchSide, jax: JaxSide):
        self.torch, self.jax = torch, jax

    @classmethod
    def of(
        cls, torch_module: nn.Module, nnx_module: nnx.Module, mapping: ModelMap = AS_NAMED, training: bool = False
    ) -> "Pair":
        """Pair two modules, which are not changed: copies of both compute with PyTorch's weights.

        Args:
            torch_module: The PyTorch model, the reference.
            nnx_module: The Flax NNX model.
            mapping: How the models correspond.
            training: Whether the copies are in training mode; else they are in evaluation mode.

        Returns:
            The pair.

        Raises:
            WeightsError: If the tensors of one model are not those of the other under `mapping`.
            TypeError: If one of the two is no module of its framework.
        """
        _require_modules(torch_module, nnx_module)
        torch_side = TorchSide(cast_copies(torch_module, training), mapping)

        def at(dtype: str) -> nnx.Module:
            with jax.enable_x64(dtype == ORACLE):
                module = _cast_copy(nnx_module, dtype, training)
                nnx.update(module, to_jax(module, torch_arrays(torch_side.at(dtype)), mapping))
            return module

        jax_side = JaxSide(at, mapping, None, WHOLE)
        jax_side.at(ORACLE)
        return cls(torch_side, jax_side)

    @cached_property
    def labels(self) -> frozenset[str]:
        """The labels of the sub-modules and functions that both have."""
        modules = self.torch.modules.keys() & self.jax.locations.keys()
        return frozenset(modules - {WHOLE}) | self.torch.functions

    @cached_property
    def unmatched(self) -> frozenset[str]:
        """The labels of callable sub-modules that only one of the two has."""
        torch_modules, jax_modules = self.torch.modules, self.jax.locations
        only_torch, only_jax = torch_modules.keys() - jax_modules.keys(), jax_modules.keys() - torch_modules.keys()
        of_torch = {label for label in only_torch if type(torch_modules[label]).forward is not nn.Module.forward}
        return frozenset(of_torch | {label for label in only_jax if self.jax.is_callable(label)})

    @cached_property
    def unmatched_parameters(self) -> frozenset[str]:
        """PyTorch's names of tensors that have a gradient in only one of the two, such as buffers of the other."""
        by_tensor: dict[int, set[str]] = {}
        for name, parameter in self.torch.parameters.items():
            by_tensor.setdefault(id(parameter), set()).add(name)
        jax_names = {link.name for link in self.jax.param_links}
        of_torch = {min(names) for names in by_tensor.values() if not names & jax_names}
        return frozenset(of_torch | (jax_names - self.torch.parameters.keys()))

    def is_above(self, dtype: str, label: str) -> bool:
        """Tell whether a sub-module or function is left out in a dtype because it never computes in so low a precision.

        Args:
            dtype: The dtype.
            label: The label.

        Returns:
            Whether it is left out.
        """
        return dtype == "bfloat16" and label in self.torch.mapping.float32

    def call(self, arguments: tuple, keywords: Mapping[str, Any] = MappingProxyType({}), seed: int = 0) -> Call:
        """Call the whole, and draw random cotangents of its outputs.

        Args:
            arguments: What it is called with, with JAX's order of axes.
            keywords: Keywords that it is called with.
            seed: The seed of the cotangents.

        Returns:
            The call.

        Raises:
            ValueError: If PyTorch returns a tensor without a finite number, which nothing equals.
        """
        call = Call(WHOLE, 0, (), -1, arguments, keywords, {}, {})
        outputs = self.torch.compute(call, ORACLE).outputs
        for name, output in outputs.items():
            if is_real(output) and output.size and not np.isfinite(output).any():
                raise ValueError(
                    f"PyTorch's output{' ' + name if name else ''} holds no finite number, only NaN or inf"
                )
        return replace(call, outputs=outputs, cotangents=random_like(outputs, seed))

    def measure(self, call: Call, dtypes: Iterable[str]) -> list[Measurement]:
        """Measure every tensor of one call: outputs, gradients for the call's cotangents, and state in training mode.

        Args:
            call: The call.
            dtypes: The dtypes to compute in.

        Returns:
            The measurements.

        Raises:
            ValueError: If the JAX side cannot be called as PyTorch's was.
        """
        measured = []
        with matmul_precision():
            for dtype in dtypes:
                given = round_call(call, dtype)
                oracle = self.torch.compute(given, ORACLE)
                by_torch = oracle if dtype == ORACLE else self.torch.compute(given, dtype)
                measured += measure_tensors(call, dtype, self.jax.compute(given, dtype), by_torch, oracle)
        return measured


def _require_modules(torch_module: Any, nnx_module: Any) -> None:
    if not isinstance(torch_module, nn.Module):
        raise TypeError(f"the PyTorch model is of {type(torch_module).__name__}, expected a torch.nn.Module")
    if isinstance(nnx_module, linen.Module):
        raise TypeError(
            f"the Flax model is the Linen module {type(nnx_module).__name__}, expected an NNX module:"
            " wrap it in flax.nnx.bridge.ToNNX and call lazy_init"
        )
    if not isinstance(nnx_module, nnx.Module):
        raise TypeError(f"the Flax model is of {type(nnx_module).__name__}, expected a flax.nnx.Module")


def _cast_copy(module: nnx.Module, dtype: str, training: bool) -> nnx.Module:
    """Copy a module in evaluation or training mode. Layers that store a dtype compute in this one.

    The first state of a recurrent cell has the dtype of its parameters.
    """
    copy = nnx.clone(module)
    (copy.train if training else copy.eval)()
    nnx.update(copy, cast(nnx.state(copy), dtype))
    for _, layer in modules(copy):
        for name in ("dtype", "param_dtype"):
            if getattr(layer, name, None) is not None:
                vars(layer)[name] = jnp.dtype(dtype)
    return copy


def round_call(call: Call, dtype: str) -> Call:
    """Round a call's numbers to `dtype`, so that every precision gets the same numbers.

    Args:
        call: The call.
        dtype: The dtype.

    Returns:
        The call, in float64.
    """
    arguments, keywords, cotangents = cast(cast((call.arguments, dict(call.keywords), call.cotangents), dtype), ORACLE)
    return replace(call, arguments=arguments, keywords=keywords, cotangents=cotangents)


def measure_tensors(call: Call, dtype: str, jax: Computed, torch: Computed, oracle: Computed) -> list[Measurement]:
    """Measure every tensor of one call in one dtype: outputs, gradients, and state if the models are in training mode.

    Args:
        call: The call.
        dtype: The dtype.
        jax: JAX's results.
        torch: PyTorch's results.
        oracle: PyTorch's results in float64.

    Returns:
        The measurements, outputs first.
    """
    measured = []
    for kind, truths in oracle.kinds.items():
        jax_arrays, torch_arrays = jax.kinds[kind], torch.kinds[kind]
        scale = rms(truths.values())
        for name in truths.keys() & jax_arrays.keys():  # a part of a fused tensor has no gradient of its own in PyTorch
            tensor = compare_tensor(name, dtype, jax_arrays[name], torch_arrays[name], truths[name], scale)
            measured.append(Measurement(call.name, call.label, kind, tensor))
    return sorted(measured, key=lambda m: (not m.forward, m.kind, m.tensor.name))
