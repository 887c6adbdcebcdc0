"""An assertion that two models compute the same, whose message tells what differs and where they part."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from flax import nnx
from torch import nn

from parity.comparison.compare import DTYPES, Comparison, compare
from parity.comparison.precision import HIGHEST
from parity.mapping.model_map import AS_NAMED, ModelMap
from parity.report.report import named


def assert_parity(
    torch_module: nn.Module,
    nnx_module: nnx.Module,
    inputs: tuple,
    mapping: ModelMap = AS_NAMED,
    dtypes: Sequence[str] = DTYPES,
    keywords: Mapping[str, Any] = MappingProxyType({}),
    precision: str = HIGHEST,
    training: bool = False,
) -> Comparison:
    """Compares both as `compare` does, and gives what it found.

    Raises AssertionError where anything is out of bounds; and WeightsError where the tensors of one are not those of
    the other under `mapping`.
    """
    found = compare(torch_module, nnx_module, inputs, mapping, dtypes, keywords, precision, training)
    check(found)
    return found


def check(found: Comparison) -> None:
    """Raises AssertionError, with a table of all that failed, where anything did."""
    if not found.passed:
        raise AssertionError(_message(found))


def _message(found: Comparison) -> str:
    rows = [
        (
            named(group.label),
            group.dtype,
            group.direction,
            f"{group.jax:.1e}",
            f"{group.torch:.1e}",
            group.failure,
        )
        for group in found.failed
    ]
    if not found.groups:
        return "nothing was compared: PyTorch's module returns no tensor"
    lines = [f"PyTorch and Flax differ in {len(rows)} of {len(found.groups)} comparisons (relative L2 errors):"]
    lines += _table([("sub-module", "dtype", "direction", "Flax's", "PyTorch's", ""), *rows])
    if found.culprits:
        lines.append("They part at:")
    for culprit in found.culprits:
        direction = "outputs" if culprit.forward else "gradients"
        lines.append(f"  {named(culprit.call.name)}, by its {direction}:")
        lines += [f"    {culprit.torch_code}", f"    {culprit.jax_code}"]
    lines += [f"Not compared: {reason}" for reason in found.not_alone.values()]
    if found.unseen:
        lines.append(f"In one of the two alone, or not to be seen: {', '.join(found.unseen)}")
    return "\n".join(lines)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip() for row in rows
    ]
