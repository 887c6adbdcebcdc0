"""Render the sub-modules of a comparison as nested HTML, each with the color of its error ratio."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from configs.serialization.printable import html_text
from parity.comparison.compare import Comparison
from parity.comparison.groups import FORWARD, Group
from parity.comparison.tolerances import TOLERANCES
from parity.report.report import display_name

SHADES = (("less than 0.8", 0.8), ("0.8 to 1.25", 1.25), ("up to the bound", float("inf")))
"""The ratio of JAX's error to PyTorch's, for what passes; what fails is red."""
SHOWN = 5
"""Tensors listed per group: those with the largest ratios. The JSON file has all."""


@dataclass
class _Node:
    label: str
    groups: list[Group] = field(default_factory=list)
    children: dict[str, "_Node"] = field(default_factory=dict)

    @property
    def all_groups(self) -> Iterator[Group]:
        yield from self.groups
        for child in self.children.values():
            yield from child.all_groups


def tree(comparison: Comparison) -> str:
    """Render nested `<details>`, one per sub-module, open on the way to failures.

    Args:
        comparison: The comparison.

    Returns:
        The HTML.
    """
    root = _Node("")
    for group in comparison.groups:
        node, label = root, ""
        for part in group.label.split(".") if group.label else ():
            label = f"{label}.{part}" if label else part
            node = node.children.setdefault(part, _Node(label))
        node.groups.append(group)
    return f'<div class="tree">{_details(root, is_open=True)}</div>'


def shade(groups: list[Group]) -> str:
    """Choose the CSS class of groups.

    Args:
        groups: The groups of a sub-module.

    Returns:
        `none` if there are no groups, `fail`, or `shade0` and up.
    """
    if not groups:
        return "none"
    if not all(group.passed for group in groups):
        return "fail"
    ratio = max((group.ratio for group in groups if group.torch), default=0.0)
    return f"shade{next(number for number, (_, end) in enumerate(SHADES) if ratio <= end)}"


def _details(node: _Node, is_open: bool = False) -> str:
    name = html_text(node.label.rpartition(".")[2] or display_name(node.label))
    is_open = is_open or any(not group.passed for group in node.all_groups)
    ratios = " ".join(_badge(group) for group in node.groups)
    count = sum(1 for _ in node.all_groups) - len(node.groups)
    inside = f'<span class="quiet">{count} inside</span>' if count else ""
    children = "".join(_details(child) for child in node.children.values())
    table = _table(node.groups) if node.groups else ""
    return (
        f'<details{" open" if is_open else ""}><summary><span class="{shade(node.groups)}">{name}</span> {ratios}'
        f" {inside}</summary>{table}{children}</details>"
    )


def _badge(group: Group) -> str:
    text = f"{group.ratio:.2f}" if group.torch else f"{group.jax:.0e}"
    title = f"{group.dtype} {group.direction}"
    sign = f"{group.dtype.replace('float', 'f')}{'→' if group.direction == FORWARD else '←'}"
    return f'<span class="badge {shade([group])}" title="{title}">{sign} {text}</span>'


def _table(groups: list[Group]) -> str:
    head = "".join(
        f"<th>{text}</th>"
        for text in ("tensor", "shape", "JAX", "PyTorch", "ratio", "bound", "max ULP", "apart", "largest |error|")
    )
    rows = []
    for group in groups:
        bound = TOLERANCES[group.dtype].ratio
        sums = (f"{group.jax:.1e}", f"{group.torch:.1e}", f"{group.ratio:.2f}", f"{bound:g}", f"{group.max_ulp:.3g}")
        cells = "".join(f"<td>{cell}</td>" for cell in sums)
        title = f"{group.dtype} {group.direction}, {len(group.members)} tensors"
        rows.append(f'<tr class="sum {shade([group])}"><td>{title}</td><td></td>{cells}<td></td><td></td></tr>')
        rows += [_row(group, number) for number in range(min(SHOWN, len(group.members)))]
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _row(group: Group, number: int) -> str:
    measurement = sorted(group.members, key=lambda m: (m.tensor.near, -m.tensor.ratio))[number]
    tensor = measurement.tensor
    cells = (
        "x".join(map(str, tensor.shape)),
        f"{tensor.jax.relative_l2:.1e}",
        f"{tensor.torch.relative_l2:.1e}",
        f"{tensor.ratio:.2f}",
        "",
        f"{tensor.jax.max_ulp:.3g}",
        f"{tensor.distance.relative_l2:.1e}",
        f"{tensor.jax.max_abs:.1e}",
    )
    return f"<tr><td>{html_text(measurement.title)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
