"""Where two models part: the first sub-module that differs when it is fed the other framework's input.

pair = Pair.of(torch_module, nnx_module)
for culprit in bisect(pair, pair.call(inputs)):
    print(told(culprit))  # of parity.report.describe_culprit
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
    """A call that leaves the bounds on PyTorch's inputs, though all calls within it keep to them."""

    call: Call
    failed: list[Measurement]
    torch_code: str
    jax_code: str

    @property
    def forward(self) -> bool:
        """Whether its outputs differ, or its gradients alone."""
        return any(measured.kind == "output" for measured in self.failed)

    @property
    def worst(self) -> Measurement:
        """The tensor that is furthest from PyTorch's; an output, if any of them differs."""
        return max(self.failed, key=lambda m: (m.kind == "output", m.tensor.distance.relative_l2))


def bisect(pair: Pair, call: Call, dtype: str = "float64") -> Iterator[Culprit]:
    """The culprits in the order of execution, each looked for when it is asked for: none where the whole keeps to the
    bounds.

    Each call is given what PyTorch gave it, arguments and gradients of its outputs; so an early difference hides no
    later one. Within what passes, nothing is looked for.
    """
    failed = _failed(pair, call, dtype)
    if failed:
        _, calls = pair.torch.watch(call, pair.labels, "float64")
        calls.sort(key=lambda inner: inner.begun)
        yield from _within(pair, call, failed, calls, dtype)


def _within(pair: Pair, call: Call, failed: list[Measurement], calls: list[Call], dtype: str) -> Iterator[Culprit]:
    """Of a call that failed: those among the calls that it made, or else itself."""
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
    except ValueError:  # not to be called alone: what it calls may be
        yield from _within(pair, call, [], calls, dtype)
        return
    if failed:
        yield from _within(pair, call, failed, calls, dtype)


def _failed(pair: Pair, call: Call, dtype: str) -> list[Measurement]:
    if pair.is_above(dtype, call.label):
        return []
    return [measured for group in group_tensors(pair.measure(call, [dtype])) for measured in group.failing]


def torch_code(pair: Pair, label: str) -> str:
    """Where the code of a module or function is: file:line."""
    if label in pair.torch.functions:
        return _location(resolve(pair.torch.mapping.functions[label]))
    return _location(pair.torch.code if label == WHOLE else type(pair.torch.modules[label]))


def jax_code(pair: Pair, label: str) -> str:
    """Where the code of its twin is."""
    if label in pair.torch.functions:
        return _location(resolve(label))
    return _location(pair.jax.code if label == WHOLE else type(pair.jax.submodule(label, "float64")))


def _location(code) -> str:
    try:
        return f"{inspect.getsourcefile(code)}:{inspect.getsourcelines(code)[1]}"
    except (TypeError, OSError):
        return repr(code)
