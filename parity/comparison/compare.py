"""The whole comparison of two models: as they run, and each sub-module alone on the inputs that PyTorch gave it."""

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
"""Shows how far an iteration is, under a description: `tqdm`'s, or nothing."""


@dataclass
class Comparison:
    """All that was measured. A sub-module passes or fails by the table in parity/comparison/tolerances.py."""

    whole: list[Measurement] = field(default_factory=list)
    """Outputs of the whole, and its gradients."""
    running: list[Measurement] = field(default_factory=list)
    """What each sub-module returned within the whole, and the gradient there, in the order in which the calls end: how
    errors grow with depth. Not judged: an early difference is in all that follows."""
    alone: list[Measurement] = field(default_factory=list)
    """Each sub-module by itself, given PyTorch's inputs and the gradients of its outputs."""
    not_alone: dict[str, str] = field(default_factory=dict)
    """Why a sub-module could not be called by itself, by its label."""
    culprits: list[Culprit] = field(default_factory=list)
    """Where the models part, by float64, if they do."""
    unseen: list[str] = field(default_factory=list)
    """Labels of sub-modules that only one of the two has, or calls where that can be seen: not in a `jax.lax.scan`; and
    names of tensors that are a parameter, with a gradient, in one of the two alone."""
    environment: dict[str, str] = field(default_factory=dict)
    """Versions, devices and matmul precisions that were in force."""

    @property
    def left_out(self) -> list[str]:
        """A sentence on each that could not be compared."""
        return [*self.not_alone.values(), *(f"{label}: only one of the two has or calls it" for label in self.unseen)]

    @property
    def groups(self) -> list[Group]:
        """What is judged: of the whole and of each sub-module, its outputs and its gradients in each dtype."""
        return group_tensors((*self.whole, *self.alone))

    @property
    def failed(self) -> list[Group]:
        return [group for group in self.groups if not group.passed]

    @property
    def passed(self) -> bool:
        return bool(self.groups) and not self.failed  # where nothing was compared, nothing is shown


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
    """Compares a PyTorch and a Flax NNX module on `inputs`: a tuple of arrays, or trees of them, as JAX has their axes;
    and on `keywords`. Both are copied, and compute with PyTorch's weights, matrix products in `precision`: `highest`,
    `high` or `medium`. With `training` they are in training mode: norms use the statistics of the batch, and dropout,
    whose random numbers no two frameworks share, is to be 0; otherwise in evaluation mode.

    Raises WeightsError where the tensors of one are not those of the other under `mapping`, ValueError where `inputs`
    is no tuple, a dtype none of those that have tolerances, or the precision none.
    """
    if not isinstance(inputs, tuple):
        raise ValueError(f"inputs is of {type(inputs).__name__}, expected a tuple of what the modules are called with")
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
    """Compares a pair on one call of the whole; and on `more`, whose tensors are judged together with the first's."""
    comparison = Comparison()
    with matmul_precision():
        comparison.environment = in_force()
        for dtype in progress(dtypes, "the whole"):
            comparison.running += _running(pair, call, dtype, comparison)
            for whole in (call, *more):
                comparison.whole += pair.measure(whole, [dtype])
        calls = [inner for whole in (call, *more) for inner in pair.torch.watch(whole, pair.labels, ORACLE)[1]]
        first_met = {label: place for place, label in reversed(list(enumerate(inner.label for inner in calls)))}
        calls.sort(key=lambda inner: first_met[inner.label])  # what was compiled for one serves the next
        for inner in progress(calls, "each sub-module"):
            try:
                comparison.alone += pair.measure(inner, [d for d in dtypes if not pair.is_above(d, inner.label)])
            except ValueError as error:
                comparison.not_alone[inner.label] = str(error)
        if comparison.failed:
            comparison.culprits = list(bisect(pair, call))
    return comparison


def _running(pair: Pair, call: Call, dtype: str, comparison: Comparison) -> Iterator[Measurement]:
    """Every call within the whole, as each framework comes to it by itself."""
    given = round_call(call, dtype)
    oracles, torch_calls = (_by_call(pair.torch.watch(given, pair.labels, of)[1]) for of in (ORACLE, dtype))
    jax_calls = _by_call(pair.jax.watch(given, pair.labels, dtype)[1])
    comparison.unseen = sorted(
        {label for label, _ in oracles.keys() ^ jax_calls.keys()} | pair.unmatched | pair.unmatched_parameters
    )
    for key, oracle in oracles.items():
        if key not in jax_calls or _shapes(jax_calls[key]) != _shapes(oracle):  # of the latter, `not_alone` tells
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
