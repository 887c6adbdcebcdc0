"""Assert that two models compute the same. The message lists what differs and the sub-modules that cause it."""

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
    """Compare two models as `compare` does, and raise if anything is out of bounds.

    Args:
        torch_module: The PyTorch model, the reference.
        nnx_module: The Flax NNX model.
        inputs: Arrays, or trees of arrays, that both are called with, with JAX's order of axes.
        mapping: How the models correspond.
        dtypes: The dtypes to compare in.
        keywords: Keywords that both are called with.
        precision: Precision of float32 matrix products: `highest`, `high` or `medium`.
        training: Whether the models are in training mode.

    Returns:
        The comparison.

    Raises:
        AssertionError: If anything is out of bounds.
        WeightsError: If the tensors of one model are not those of the other under `mapping`.
    """
    comparison = compare(torch_module, nnx_module, inputs, mapping, dtypes, keywords, precision, training)
    raise_if_failed(comparison)
    return comparison


def raise_if_failed(comparison: Comparison) -> None:
    """Raise if a comparison failed.

    Args:
        comparison: The comparison.

    Raises:
        AssertionError: With a table of everything that failed.
    """
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
        lines.append("They differ first at:")
    for culprit in comparison.culprits:
        direction = "outputs" if culprit.forward else "gradients"
        lines.append(f"  {display_name(culprit.call.name)}, by its {direction}:")
        lines += [f"    {culprit.torch_code}", f"    {culprit.jax_code}"]
    lines += [f"Not compared: {reason}" for reason in comparison.not_alone.values()]
    if comparison.unseen:
        lines.append(f"In only one of the two, or not recorded: {', '.join(comparison.unseen)}")
    return "\n".join(lines)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip() for row in rows
    ]
