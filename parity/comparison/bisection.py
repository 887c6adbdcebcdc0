"""Find the first sub-module that differs when it gets the other framework's input.

pair = Pair.of(torch_module, nnx_module)
for culprit in bisect(pair, pair.call(inputs)):
    print(describe_culprit(culprit))  # of parity.report.describe_culprit
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from parity.capture.calls import WHOLE, Call
from parity.capture.resolve import resolve
from parity.comparison.groups import group_tensors
from parity.comparison.pair import Measurement, Pair


@dataclass(frozen=True)
class Culprit:
    """A call that is out of bounds on PyTorch's inputs, although all calls inside it are within their bounds."""

    call: Call
    failed: list[Measurement]
    torch_code: str
    jax_code: str

    @property
    def forward(self) -> bool:
        """Whether its outputs or updated state differ, and not only its gradients."""
        return any(measured.forward for measured in self.failed)

    @property
    def worst(self) -> Measurement:
        """The tensor furthest from PyTorch's; one of the forward pass, if any of these differs."""
        return max(self.failed, key=lambda m: (m.forward, m.tensor.distance.relative_l2))


def bisect(pair: Pair, call: Call, dtype: str = "float64") -> Iterator[Culprit]:
    """Find the culprits in the order of execution, each when it is asked for; none if the whole is within its bounds.

    Each call gets the arguments and the gradients of its outputs that PyTorch gave it, so an early difference does not
    hide a later one. Calls inside a call that passes are not searched.

    Args:
        pair: The models.
        call: A call of the whole.
        dtype: The dtype to compute in.

    Yields:
        The culprits.
    """
    failed = _failed(pair, call, dtype)
    if failed:
        _, calls = pair.torch.watch(call, pair.labels, "float64")
        calls.sort(key=lambda inner: inner.begun)
        yield from _within(pair, call, failed, calls, dtype)


def _within(pair: Pair, call: Call, failed: list[Measurement], calls: list[Call], dtype: str) -> Iterator[Culprit]:
    """Search the calls that a failed call made; yield the call itself if none of them failed."""
    parents = () if call.label == WHOLE else (*call.parents, call.begun)
    has_inner = False
    for inner in (inner for inner in calls if inner.parents == parents):
        for culprit in _of(pair, inner, calls, dtype):
            has_inner = True
            yield culprit
    if not has_inner and failed:
        yield Culprit(call, failed, torch_code(pair, call.label), jax_code(pair, call.label))


def _of(pair: Pair, call: Call, calls: list[Call], dtype: str) -> Iterator[Culprit]:
    try:
        failed = _failed(pair, call, dtype)
    except ValueError:  # it cannot be called alone, but the calls inside it may
        yield from _within(pair, call, [], calls, dtype)
        return
    if failed:
        yield from _within(pair, call, failed, calls, dtype)


def _failed(pair: Pair, call: Call, dtype: str) -> list[Measurement]:
    if pair.is_above(dtype, call.label):
        return []
    return [measured for group in group_tensors(pair.measure(call, [dtype])) for measured in group.failing]


def torch_code(pair: Pair, label: str) -> str:
    """Locate the PyTorch code of a module or function.

    Args:
        pair: The models.
        label: The label.

    Returns:
        The location, `file:line`.
    """
    if label in pair.torch.functions:
        return _location(resolve(pair.torch.mapping.functions[label]))
    return _location(pair.torch.code if label == WHOLE else type(pair.torch.modules[label]))


def jax_code(pair: Pair, label: str) -> str:
    """Locate the JAX code of a module or function.

    Args:
        pair: The models.
        label: The label.

    Returns:
        The location, `file:line`.
    """
    if label in pair.torch.functions:
        return _location(resolve(label))
    return _location(pair.jax.code if label == WHOLE else type(pair.jax.submodule(label, "float64")))


def _location(code) -> str:
    try:
        return f"{inspect.getsourcefile(code)}:{inspect.getsourcelines(code)[1]}"
    except (TypeError, OSError):
        return repr(code)
