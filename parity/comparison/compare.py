"""Compare two models: as a whole, and each sub-module by itself on the inputs that PyTorch gave it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from flax import nnx
from torch import nn

from parity.capture.calls import Call, CapturedCall
from parity.capture.trees import is_real, numpy_inputs
from parity.comparison.bisection import Culprit, bisect
from parity.comparison.groups import Group, group_tensors
from parity.comparison.metrics import compare_tensor, rms
from parity.comparison.pair import ORACLE, Measurement, Pair, round_call
from parity.comparison.precision import HIGHEST, in_force, matmul_precision, use_precision
from parity.comparison.tolerances import TOLERANCES
from parity.mapping.model_map import AS_NAMED, ModelMap

DTYPES = ("float64", "float32")
Progress = Callable[[Iterable[Any], str], Iterable[Any]]
"""Shows the progress of an iteration under a description, like `tqdm`, or does nothing."""


@dataclass
class Comparison:
    """All measurements. A sub-module passes or fails by the table in parity/comparison/tolerances.py."""

    whole: list[Measurement] = field(default_factory=list)
    """Outputs of the whole, and its gradients."""
    running: list[Measurement] = field(default_factory=list)
    """What each sub-module returned inside the whole, and the gradient there, in the order in which the calls end: it
        shows
    how errors grow with depth. No bound applies: an early difference affects everything after it.
    """
    alone: list[Measurement] = field(default_factory=list)
    """Each sub-module by itself, given PyTorch's inputs and the gradients of its outputs."""
    not_alone: dict[str, str] = field(default_factory=dict)
    """Why a sub-module could not be called by itself, by its label."""
    culprits: list[Culprit] = field(default_factory=list)
    """The sub-modules that cause the differences, found in float64."""
    unseen: list[str] = field(default_factory=list)
    """Labels of sub-modules that exist in only one model or whose calls cannot be recorded, as in a `jax.lax.scan`; and
        names
    of tensors that are parameters, with a gradient, in only one model.
    """
    environment: dict[str, str] = field(default_factory=dict)
    """Versions, devices and matmul precisions in use."""

    @property
    def left_out(self) -> list[str]:
        """A sentence on each sub-module that could not be compared."""
        return [
            *self.not_alone.values(),
            *(f"{label}: it is in only one of the two, or its calls cannot be recorded" for label in self.unseen),
        ]

    @property
    def groups(self) -> list[Group]:
        """What passes or fails: the outputs and the gradients of the whole and of each sub-module, in each dtype."""
        return group_tensors((*self.whole, *self.alone))

    @property
    def failed(self) -> list[Group]:
        """The groups that did not pass."""
        return [group for group in self.groups if not group.passed]

    @property
    def passed(self) -> bool:
        """Whether everything passed; false if nothing was compared."""
        return bool(self.groups) and not self.failed  # an empty comparison proves nothing


def compare(
    torch_module: nn.Module,
    nnx_module: nnx.Module,
    inputs: tuple,
    mapping: ModelMap = AS_NAMED,
    dtypes: Sequence[str] = DTYPES,
    keywords: Mapping[str, Any] = MappingProxyType({}),
    precision: str = HIGHEST,
    training: bool = False,
) -> Comparison:
    """Compare a PyTorch and a Flax NNX model. Copies of both compute with PyTorch's weights.

    Args:
        torch_module: The PyTorch model, the reference.
        nnx_module: The Flax NNX model.
        inputs: Arrays, or trees of arrays, that both are called with, with JAX's order of axes.
        mapping: How the models correspond.
        dtypes: The dtypes to compare in.
        keywords: Keywords that both are called with.
        precision: Precision of float32 matrix products: `highest`, `high` or `medium`.
        training: Whether the models are in training mode. Norms then use the statistics of the batch; dropout must be
            0,
            because no two frameworks share its random numbers.

    Returns:
        The comparison.

    Raises:
        WeightsError: If the tensors of one model are not those of the other under `mapping`.
        ValueError: If `inputs` is not a tuple, a dtype has no tolerance, or there is no such precision.
    """
    if not isinstance(inputs, tuple):
        raise ValueError(f"inputs is of {type(inputs).__name__}, expected a tuple of the modules' arguments")
    if isinstance(dtypes, str) or not dtypes or not set(dtypes) <= TOLERANCES.keys():
        raise ValueError(f"dtypes is {dtypes!r}, expected some of {', '.join(TOLERANCES)}")
    with use_precision(precision):
        pair = Pair.of(torch_module, nnx_module, mapping, training)
        call = pair.call(*numpy_inputs((inputs, dict(keywords))))
        return compare_pair(pair, call, tuple(dtypes))


def compare_pair(
    pair: Pair,
    call: Call,
    dtypes: tuple[str, ...] = DTYPES,
    progress: Progress = lambda it, _: it,
    more: Sequence[Call] = (),
) -> Comparison:
    """Compare a pair on calls of the whole.

    Args:
        pair: The models.
        call: The call that sub-modules' errors are recorded on.
        dtypes: The dtypes to compare in.
        progress: Shows the progress.
        more: Further calls; their tensors are grouped with the first's.

    Returns:
        The comparison.
    """
    comparison = Comparison()
    with matmul_precision():
        comparison.environment = in_force()
        for dtype in progress(dtypes, "the whole"):
            comparison.running += _running(pair, call, dtype, comparison)
            for whole in (call, *more):
                comparison.whole += pair.measure(whole, [dtype])
        calls = [inner for whole in (call, *more) for inner in pair.torch.watch(whole, pair.labels, ORACLE)[1]]
        first_met = {label: place for place, label in reversed(list(enumerate(inner.label for inner in calls)))}
        calls.sort(key=lambda inner: first_met[inner.label])  # the next call can reuse the compiled program
        for inner in progress(calls, "each sub-module"):
            try:
                comparison.alone += pair.measure(inner, [d for d in dtypes if not pair.is_above(d, inner.label)])
            except ValueError as error:
                comparison.not_alone[inner.label] = str(error)
        if comparison.failed:
            comparison.culprits = list(bisect(pair, call))
    return comparison


def _running(pair: Pair, call: Call, dtype: str, comparison: Comparison) -> Iterator[Measurement]:
    """Measure every call inside the whole, with the inputs that each framework computed for it."""
    given = round_call(call, dtype)
    oracles, torch_calls = (_by_call(pair.torch.watch(given, pair.labels, of)[1]) for of in (ORACLE, dtype))
    jax_calls = _by_call(pair.jax.watch(given, pair.labels, dtype)[1])
    comparison.unseen = sorted(
        {label for label, _ in oracles.keys() ^ jax_calls.keys()} | pair.unmatched | pair.unmatched_parameters
    )
    for key, oracle in oracles.items():
        if key not in jax_calls or _shapes(jax_calls[key]) != _shapes(
            oracle
        ):  # `not_alone` has the reason for other shapes
            continue
        for kind, of in (("output", "outputs"), ("gradient of output", "cotangents")):
            by_jax, by_torch, truths = (getattr(side[key], of) for side in (jax_calls, torch_calls, oracles))
            scale = rms(truths.values())
            for jax_array, torch_array, (name, truth) in zip(
                by_jax.values(), by_torch.values(), truths.items(), strict=True
            ):
                yield Measurement(
                    oracle.name, oracle.label, kind, compare_tensor(name, dtype, jax_array, torch_array, truth, scale)
                )


def _shapes(call: Call | CapturedCall) -> list[tuple[tuple[int, ...], bool]]:
    return [(array.shape, is_real(array)) for array in call.outputs.values()]


def _by_call(calls: Iterable[Call] | Iterable[CapturedCall]) -> dict[tuple[str, int], Any]:
    return {(call.label, call.count): call for call in calls}
