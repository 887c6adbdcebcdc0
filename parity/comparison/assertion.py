"""An assertion that two models compute the same, whose message tells what differs and where they part."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from flax import nnx
from torch import nn

from parity.comparison.compare import DTYPES, Comparison, compare
from parity.comparison.precision import HIGHEST
from parity.mapping.model_map import AS_NAMED, ModelMap
from parity.report.report import display_name


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
    comparison = compare(torch_module, nnx_module, inputs, mapping, dtypes, keywords, precision, training)
    raise_if_failed(comparison)
    return comparison


def raise_if_failed(comparison: Comparison) -> None:
    """Raises AssertionError, with a table of all that failed, where anything did."""
    if not comparison.passed:
        raise AssertionError(_message(comparison))


def _message(comparison: Comparison) -> str:
    rows = [
        (
            display_name(group.label),
            group.dtype,
            group.direction,
            f"{group.jax:.1e}",
            f"{group.torch:.1e}",
            group.failure,
        )
        for group in comparison.failed
    ]
    if not comparison.groups:
        return "nothing was compared: PyTorch's module returns no tensor"
    lines = [f"PyTorch and Flax differ in {len(rows)} of {len(comparison.groups)} comparisons (relative L2 errors):"]
    lines += _table([("sub-module", "dtype", "direction", "Flax's", "PyTorch's", ""), *rows])
    if comparison.culprits:
        lines.append("They part at:")
    for culprit in comparison.culprits:
        direction = "outputs" if culprit.forward else "gradients"
        lines.append(f"  {display_name(culprit.call.name)}, by its {direction}:")
        lines += [f"    {culprit.torch_code}", f"    {culprit.jax_code}"]
    lines += [f"Not compared: {reason}" for reason in comparison.not_alone.values()]
    if comparison.unseen:
        lines.append(f"In one of the two alone, or not to be seen: {', '.join(comparison.unseen)}")
    return "\n".join(lines)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip() for row in rows
    ]
