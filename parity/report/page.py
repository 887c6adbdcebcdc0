"""Write a report as one HTML file that needs no other file and no network."""

from pathlib import Path

from aef_jax.files.atomic import replace_file
from aef_jax.visualize.page import html_image, html_page, html_table
from configs.serialization.printable import html_text
from parity.comparison.compare import Comparison
from parity.comparison.tolerances import TOLERANCES
from parity.report.charts import growth, histograms, lines
from parity.report.report import Report, Section, display_name
from parity.report.tree import SHADES, tree


def write_html(report: Report, path: Path) -> None:
    """Write the page, whole or not at all.

    Args:
        report: The report.
        path: The file.
    """
    with replace_file(path) as temporary:
        temporary.write_text(page(report), encoding="utf-8")


def page(report: Report) -> str:
    """Render the page.

    Args:
        report: The report.

    Returns:
        The HTML.
    """
    parts = [_head(report), *map(_section, report.sections), _tolerances(), _environment(report)]
    if report.comparison is not None:
        parts[1:1] = [_comparison(report.comparison)]
    return html_page(report.title, parts)


def _head(report: Report) -> str:
    notes = "".join(f"<p>{html_text(note)}</p>" for note in report.notes)
    failures = "".join(f"<li>{html_text(failure)}</li>" for failure in report.failures)
    verdict = '<p class="verdict pass">passed</p>' if report.passed else '<p class="verdict fail">failed</p>'
    return f"<h1>{html_text(report.title)}</h1>{verdict}{notes}{f'<ul>{failures}</ul>' if failures else ''}"


def _comparison(comparison: Comparison) -> str:
    culprits = "".join(
        f"<li>{html_text(display_name(culprit.call.name))}, {'forward' if culprit.forward else 'backward'}:"
        f" <code>{html_text(culprit.torch_code)}</code> and <code>{html_text(culprit.jax_code)}</code></li>"
        for culprit in comparison.culprits
    )
    legend = " ".join(f'<span class="badge shade{n}">{text}</span>' for n, (text, _) in enumerate(SHADES))
    return (
        f"{f'<h2>Where they differ first</h2><ol>{culprits}</ol>' if culprits else ''}"
        "<h2>Sub-modules</h2><p>Each one got the inputs and the gradients of its outputs that PyTorch gave it. The"
        " color is the ratio of JAX's error to PyTorch's, both against a float64 oracle; for float64 it is the error"
        " itself. An arrow to the right means forward, one to the left backward.</p>"
        f'<p>{legend} <span class="badge fail">above the bound</span></p>{tree(comparison)}{_left_out(comparison)}'
        "<h2>Growth of errors inside the whole</h2><p>Each point is a call; the lines are running medians. Gradients"
        " of the first calls passed through all later ones.</p>"
        f"{html_image(growth(comparison), 'errors by call')}"
        "<h2>Units in the last place</h2><p>All numbers of all sub-modules, except those near zero.</p>"
        f"{html_image(histograms(comparison), 'histograms of errors')}"
    )


def _left_out(comparison: Comparison) -> str:
    items = [f"<li>{html_text(sentence)}</li>" for sentence in comparison.left_out]
    if not items:
        return ""
    summary = f"<summary>not compared alone: {len(items)}</summary>"
    return f"<details>{summary}<ul>{''.join(items)}</ul></details>"


def _section(section: Section) -> str:
    rows = [
        (c.name, f"{c.value:.2e}", f"{c.bound:.2e}", "pass" if c.passed else "FAIL", c.reason) for c in section.checks
    ]
    notes = "".join(f"<p>{html_text(note)}</p>" for note in section.notes)
    charts = "".join(html_image(lines(chart), chart.title) for chart in section.charts)
    return (
        f"<h2>{html_text(section.title)}</h2>{notes}"
        f"{html_table(('quantity', 'measured', 'bound', '', 'reason'), rows, lambda row: row[3].lower())}{charts}"
    )


def _tolerances() -> str:
    rows = [
        (dtype, f"{t.relative_l2:g}", f"{t.ratio:g}", f"{t.floor_ulp:g} ULP", t.reason)
        for dtype, t in TOLERANCES.items()
    ]
    head = ("dtype", "JAX from PyTorch, relative L2", "JAX's error over PyTorch's", "errors counted from", "reason")
    return f"<h2>Tolerances</h2>{html_table(head, rows)}"


def _environment(report: Report) -> str:
    return f"<h2>Environment</h2>{html_table(('', ''), report.environment.items())}"
