"""Print a report as tables in the terminal."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from configs.serialization.printable import printable_lines
from parity.comparison.compare import Comparison
from parity.comparison.groups import BACKWARD, FORWARD, Group
from parity.report.report import Report, Section, display_name

DEPTH = 2
"""Sub-modules at most this deep are listed; deeper ones only if they fail. The files have all."""


def print_report(report: Report, console: Console) -> None:
    """Print the tables, a line for each failure, and the total.

    Args:
        report: The report.
        console: Where to print.
    """
    console.print(_text(report.title, "bold"))
    for note in report.notes:
        console.print(_text(note))
    if report.comparison is not None:
        console.print(_submodules(report.comparison))
    for section in report.sections:
        console.print(_section(section))
    for failure in report.failures:
        console.print(Text("FAIL ", "red") + _text(failure))
    if report.comparison is not None:
        for culprit in report.comparison.culprits:
            line = f"first difference at {display_name(culprit.call.name)}: {culprit.torch_code} and {culprit.jax_code}"
            console.print(_text(line), soft_wrap=True)
        left_out = report.comparison.left_out
        if left_out:
            more = f"; and {len(left_out) - 1} more, listed in the files" if len(left_out) > 1 else ""
            console.print(_text(f"not compared alone: {left_out[0]}{more}"), soft_wrap=True)
    console.print(_sum(report))


def _submodules(comparison: Comparison) -> Table:
    rows = _rows(comparison)
    shown = {key: of_key for key, of_key in rows.items() if _is_shown(key[0], of_key)}
    caption = f"{len(rows) - len(shown)} more rows, of deeper sub-modules that pass, are in the files"
    table = Table(
        title="errors against the float64 oracle, relative L2: root mean square, and the worst tensor's",
        caption=caption if len(rows) > len(shown) else None,
        box=box.SIMPLE_HEAD,
    )
    table.add_column("sub-module", overflow="fold")
    table.add_column("dtype")
    for direction in (FORWARD, BACKWARD):
        for column in (f"{direction}\nJAX", "worst\nJAX", "PyTorch", "ratio"):
            table.add_column(column, justify="right")
    table.add_column("max ULP", justify="right")
    table.add_column("")
    for (label, dtype), groups in shown.items():
        cells = [cell for direction in (FORWARD, BACKWARD) for cell in _cells(groups.get(direction))]
        ulp = max(group.max_ulp for group in groups.values())
        table.add_row(_text(display_name(label)), dtype, *cells, f"{ulp:.3g}", _verdict(_passed(groups)))
    return table


def _rows(comparison: Comparison) -> dict[tuple[str, str], dict[str, Group]]:
    rows: dict[tuple[str, str], dict[str, Group]] = {}
    for group in comparison.groups:
        rows.setdefault((group.label, group.dtype), {})[group.direction] = group
    return rows


def _is_shown(label: str, groups: dict[str, Group]) -> bool:
    return len(label.split(".")) <= DEPTH or not _passed(groups)


def _passed(groups: dict[str, Group]) -> bool:
    return all(group.passed for group in groups.values())


def _cells(group: Group | None) -> list[str]:
    if group is None:
        return ["", "", "", ""]
    worst = max(m.tensor.jax.relative_l2 for m in group.members)
    return [f"{group.jax:.1e}", f"{worst:.1e}", f"{group.torch:.1e}", f"{group.ratio:.2f}" if group.torch else "-"]


def _section(section: Section) -> Table:
    table = Table(title=_text(section.title), box=box.SIMPLE_HEAD, caption=_text("\n".join(section.notes)))
    table.add_column("quantity", overflow="fold")
    for column in ("measured", "bound"):
        table.add_column(column, justify="right")
    table.add_column("")
    for c in section.checks:
        table.add_row(_text(c.name), f"{c.value:.2e}", f"{c.bound:.2e}", _verdict(c.passed))
    return table


def _text(text: str, style: str = "") -> Text:
    """Return a text that may hold names from files: rich would obey its markup, and pass on control characters."""
    return Text(printable_lines(text), style)


def _verdict(passed: bool) -> Text:
    return Text("pass", "green") if passed else Text("FAIL", "bold red")


def _sum(report: Report) -> Text:
    groups = [] if report.comparison is None else report.comparison.groups
    checks = [c for section in report.sections for c in section.checks]
    passed = sum(group.passed for group in groups) + sum(c.passed for c in checks)
    return Text(f"{passed} of {len(groups) + len(checks)} pass", "green" if report.passed else "bold red")
