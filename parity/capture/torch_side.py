"""Compute a PyTorch model, whole or by sub-module, in any precision, and record its calls."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import cache, partial
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
import torch
from torch import Tensor, nn

from parity.capture.calls import WHOLE, Call, Computed, describe_failure
from parity.capture.resolve import resolve
from parity.capture.tensors import to_numpy, to_tensor
from parity.capture.torch_watch import PendingCall, watched
from parity.capture.trees import (
    Arrays,
    Constant,
    cast,
    copy_tensors,
    expand_dataclasses,
    is_real,
    map_arrays,
    move_axis,
    named_arrays,
    random_like,
    unwrap_constant,
)
from parity.mapping.model_map import ModelMap


class TorchSide:
    """The PyTorch model of a pair, the reference. Arguments and results are NumPy arrays with JAX's order of axes.

    Args:
        at: Returns the model that computes in a dtype.
        mapping: How the models correspond.
        whole: Called with the model and the arguments; None calls the model itself.
    """

    def __init__(self, at: Callable[[str], nn.Module], mapping: ModelMap, whole: Callable[..., Any] | None = None):
        self.at, self.mapping = cache(at), mapping
        self.root = type(at("float64")).__name__ if whole else WHOLE
        """The label of the model itself."""
        self.whole = whole or _call

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The model and its sub-modules by label."""
        return {path or self.root: module for path, module in self.at("float64").named_modules()}

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The model's parameters; a tied one has several names."""
        return self._parameters(WHOLE, self.at("float64"))

    def compute(self, call: Call, dtype: str) -> Computed:
        """Compute a sub-module, a function or the whole on a call's arguments.

        Gradients are those of the outputs times the call's cotangents, or times random ones if it has none.

        Args:
            call: The call.
            dtype: The dtype to compute in.

        Returns:
            Outputs, gradients, and state if the model is in training mode.

        Raises:
            ValueError: If a sub-module or function cannot be called by itself.
        """
        try:
            return self._compute(call, dtype)
        except Exception as error:  # anything may fail in a call of its own, such as on a cache that is full by now
            if call.label == WHOLE:
                raise
            raise ValueError(describe_failure(call, error)) from error

    def _compute(self, call: Call, dtype: str) -> Computed:
        module, function = self._function(call.label, dtype)
        given = self._given((call.arguments, call.keywords), call.label, dtype)
        parameters = {} if module is None else self._parameters(call.label, module)
        with _state_restored(module) as state:
            with _default(dtype):
                outputs = _outputs(function, given)
            updated = {self._prefix(call.label) + name: to_numpy(x.clone()) for name, x in state.items()}
            return self._computed(call, outputs, parameters, given, updated)[0]

    def watch(self, call: Call, labels: AbstractSet[str], dtype: str) -> tuple[Computed, list[Call]]:
        """Compute the whole, and record the calls inside it.

        Args:
            call: A call of the whole.
            labels: The labels to record.
            dtype: The dtype to compute in.

        Returns:
            Outputs and gradients of the whole, and the calls in the order in which they end.
        """
        module, given = self.at(dtype), self._given((call.arguments, call.keywords), WHOLE, dtype)
        modules = {
            label: module.get_submodule("" if label == self.root else label) for label in labels - self.functions
        }
        functions = {label: self.mapping.functions[label] for label in labels & self.functions}
        with _state_restored(module):
            with watched(modules, functions) as calls, _default(dtype):
                outputs = _outputs(partial(self.whole, module), given)
            inner = {(number, name): x for number, c in enumerate(calls) for name, x in c.outputs.items() if is_real(x)}
            computed, gradients = self._computed(call, outputs, self._parameters(WHOLE, module), given, {}, inner)
        return computed, [self._closed(number, open, gradients) for number, open in enumerate(calls)]

    @property
    def code(self) -> Any:
        """The code of the whole: a function, or the type of the model."""
        return type(self.at("float64")) if self.whole is _call else self.whole

    @property
    def functions(self) -> set[str]:
        """The labels of the functions that are compared like modules."""
        return set(self.mapping.functions)

    def _function(self, label: str, dtype: str) -> tuple[nn.Module | None, Callable[..., Any]]:
        if label == WHOLE:
            module = self.at(dtype)
            return module, partial(self.whole, module)
        if label in self.functions:
            return None, resolve(self.mapping.functions[label])
        module = self.at(dtype).get_submodule("" if label == self.root else label)
        return module, module

    def _parameters(self, label: str, module: nn.Module) -> dict[str, Tensor]:
        # a tied parameter under all its names, of which JAX may have any one
        named = module.named_parameters(remove_duplicate=False)
        return {self._prefix(label) + name: parameter for name, parameter in named}

    def _prefix(self, label: str) -> str:
        return "" if label in (WHOLE, self.root) else f"{label}."

    def _given(self, tree: Any, label: str, dtype: str) -> Any:
        def tensor(array: np.ndarray) -> Tensor:
            return to_tensor(array).requires_grad_(is_real(array))

        tensors = map_arrays(tensor, move_axis(cast(tree, dtype), self.mapping.channel_rank(label), -1, 1))
        return jax.tree.map(unwrap_constant, tensors)

    def _numpy(self, tree: Any, label: str) -> Any:
        arrays = map_arrays(lambda x: to_numpy(x) if isinstance(x, Tensor) else Constant(np.asarray(x)), tree)
        return move_axis(arrays, self.mapping.channel_rank(label), 1, -1)

    def _named(self, tensors: Mapping[str, Tensor], label: str) -> Arrays:
        """Convert tensors in their order; a dictionary handled as a tree would be sorted by JAX."""
        return {name: self._numpy(tensor, label) for name, tensor in tensors.items()}

    def _computed(
        self,
        call: Call,
        outputs: dict[str, Tensor],
        parameters: dict[str, Tensor],
        given: Any,
        state: Arrays,
        inner: Mapping[tuple, Tensor] = MappingProxyType({}),
    ) -> tuple[Computed, dict[tuple, Tensor]]:
        """Return the results and all gradients by key, also those of `inner`, the values between inputs and outputs."""
        results = self._named(outputs, call.label)
        given_cotangents = self._given(call.cotangents or random_like(results), call.label, "float64")
        heads = {
            name: x for name, x in outputs.items() if x.requires_grad and name in given_cotangents
        }  # complex outputs have no gradient here
        inputs = {name: x for name, x in named_arrays(given).items() if isinstance(x, Tensor) and is_real(x)}
        wanted = {("parameter", n): x for n, x in parameters.items()} | {("input", n): x for n, x in inputs.items()}
        wanted |= inner
        cotangents = [given_cotangents[name].to(x.dtype) for name, x in heads.items()]
        all_gradients = dict(
            zip(wanted, _gradients(list(heads.values()), cotangents, list(wanted.values())), strict=True)
        )
        of_parameters = {name: to_numpy(all_gradients["parameter", name]) for name in parameters}
        of_inputs = self._named({name: all_gradients["input", name] for name in inputs}, call.label)
        return Computed(results, of_parameters, of_inputs, state), all_gradients

    def _closed(self, number: int, open: PendingCall, gradients: Mapping[tuple, Tensor]) -> Call:
        cotangents = {name: gradients[number, name] for name in open.outputs if (number, name) in gradients}
        arguments, keywords = self._numpy((open.arguments, open.keywords), open.label)
        results = (self._named(part, open.label) for part in (open.outputs, cotangents))
        return Call(open.label, open.count, open.parents, open.begun, arguments, keywords, *results)


@contextmanager
def _default(dtype: str) -> Iterator[None]:
    """Create tensors as float64 if the oracle computes, also those made without a dtype, as JAX does under x64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64 if dtype == "float64" else before)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _state_restored(module: nn.Module | None) -> Iterator[dict[str, Tensor]]:
    """Give the buffers of a module in training mode, such as running statistics, and undo what is done to them.

    They are restored at the end: the backward pass may still read them.
    """
    buffers = dict(module.named_buffers()) if module is not None and module.training else {}
    before = {name: x.clone() for name, x in buffers.items()}
    try:
        yield {name: x for name, x in buffers.items() if is_real(x)}
    finally:
        for name, x in buffers.items():
            x.copy_(before[name])


def _call(module: nn.Module, *arguments: Any, **keywords: Any) -> Any:
    return module(*arguments, **keywords)


def _outputs(function: Callable[..., Any], given: Any) -> dict[str, Tensor]:
    """Call a function and return its outputs by name.

    It gets copies of its arguments: it may change them in place, which autograd forbids for leaves.
    """
    arguments, keywords = copy_tensors(given)
    return named_arrays(expand_dataclasses(function(*arguments, **keywords)))


def _gradients(heads: list[Tensor], cotangents: list[Tensor], wanted: list[Tensor]) -> Sequence[Tensor]:
    if not heads or not wanted:
        return [torch.zeros_like(x) for x in wanted]
    return torch.autograd.grad(heads, wanted, cotangents, materialize_grads=True)


def cast_copies(module: nn.Module, training: bool = False) -> Callable[[str], nn.Module]:
    """Make a function that returns copies of a module in other dtypes, on the CPU, with gradients for all parameters.

    What torch.compile or DistributedDataParallel wrapped is copied without its wrapper, so names have no prefix.

    Args:
        module: The module, which is not changed.
        training: Whether the copies are in training mode.

    Returns:
        The function, which takes the dtype's name.
    """
    unwrapped = _unwrapped(module)
    return lambda dtype: copy.deepcopy(unwrapped).train(training).requires_grad_(True).to("cpu", getattr(torch, dtype))


def _unwrapped(module: nn.Module) -> nn.Module:
    """Return a copy without wrappers, which shares all tensors with the module."""
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return _unwrapped(module.module)
    compiled = module._modules.get("_orig_mod")  # of torch.compile, whose own type is slow to import
    if compiled is not None:
        return _unwrapped(compiled)
    unwrapped = {name: child if child is None else _unwrapped(child) for name, child in module._modules.items()}
    if all(child is module._modules[name] for name, child in unwrapped.items()):
        return module
    result = copy.copy(module)
    result._modules = unwrapped
    return result
