"""A report as one HTML file that needs no other, and no network."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

from aef_jax.files.atomic import replacing
from parity.comparison.compare import Comparison
from parity.comparison.tolerances import TOLERANCES
from parity.report.charts import as_svg, growth, histograms, lines
from parity.report.page_style import STYLE
from parity.report.report import Report, Section, display_name
from parity.report.tree import SHADES, tree


def write_html(report: Report, path: Path) -> None:
    """Writes the page; it appears whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(page(report), encoding="utf-8")


def page(report: Report) -> str:
    """The whole page."""
    title = escape(report.title)
    parts = [_head(report), *map(_section, report.sections), _tolerances(), _environment(report)]
    if report.comparison is not None:
        parts[1:1] = [_comparison(report.comparison)]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _head(report: Report) -> str:
    notes = "".join(f"<p>{escape(note)}</p>" for note in report.notes)
    failures = "".join(f"<li>{escape(failure)}</li>" for failure in report.failures)
    verdict = '<p class="verdict pass">passed</p>' if report.passed else '<p class="verdict fail">failed</p>'
    return f"<h1>{escape(report.title)}</h1>{verdict}{notes}{f'<ul>{failures}</ul>' if failures else ''}"


def _comparison(comparison: Comparison) -> str:
    culprits = "".join(
        f"<li>{escape(display_name(culprit.call.name))}, {'forward' if culprit.forward else 'backward'}:"
        f" <code>{escape(culprit.torch_code)}</code> and <code>{escape(culprit.jax_code)}</code></li>"
        for culprit in comparison.culprits
    )
    legend = " ".join(f'<span class="badge shade{n}">{text}</span>' for n, (text, _) in enumerate(SHADES))
    return (
        f"{f'<h2>Where they part</h2><ol>{culprits}</ol>' if culprits else ''}"
        "<h2>Sub-modules</h2><p>Each was given the inputs and the gradients of its outputs that PyTorch gave it. The"
        " colour is the ratio of JAX's error to PyTorch's, both against a float64 oracle; of float64 the error"
        " itself is told. An arrow to the right is forward, one to the left backward.</p>"
        f'<p>{legend} <span class="badge fail">above it</span></p>{tree(comparison)}{_left_out(comparison)}'
        "<h2>How errors grow within the whole</h2><p>Each point is a call; the lines are running medians. The gradients"
        " of the first calls have come the longest way.</p>"
        f"{_image(as_svg(growth(comparison)), 'errors by call')}"
        "<h2>Units in the last place</h2><p>All numbers of all sub-modules that are not near zero.</p>"
        f"{_image(as_svg(histograms(comparison)), 'histograms of errors')}"
    )


def _left_out(comparison: Comparison) -> str:
    items = [f"<li>{escape(sentence)}</li>" for sentence in comparison.left_out]
    if not items:
        return ""
    summary = f"<summary>not compared by themselves: {len(items)}</summary>"
    return f"<details>{summary}<ul>{''.join(items)}</ul></details>"


def _section(section: Section) -> str:
    rows = [
        (c.name, f"{c.value:.2e}", f"{c.bound:.2e}", "pass" if c.passed else "FAIL", c.reason) for c in section.checks
    ]
    notes = "".join(f"<p>{escape(note)}</p>" for note in section.notes)
    charts = "".join(_image(as_svg(lines(chart)), chart.title) for chart in section.charts)
    return (
        f"<h2>{escape(section.title)}</h2>{notes}"
        f"{_table(('what', 'found', 'at most', '', 'why'), rows, lambda row: row[3].lower())}{charts}"
    )


def _tolerances() -> str:
    rows = [
        (dtype, f"{t.relative_l2:g}", f"{t.ratio:g}", f"{t.floor_ulp:g} ULP", t.reason)
        for dtype, t in TOLERANCES.items()
    ]
    head = ("dtype", "JAX from PyTorch, relative L2", "JAX's error over PyTorch's", "error counted from", "why")
    return f"<h2>Tolerances</h2>{_table(head, rows)}"


def _environment(report: Report) -> str:
    return f"<h2>What computed this</h2>{_table(('', ''), report.environment.items())}"


def _table(head: Iterable[str], rows: Iterable[tuple[str, ...]], kind=lambda _: "") -> str:
    """Texts are escaped; `kind` gives a row's CSS class."""
    top = "".join(f"<th>{escape(text)}</th>" for text in head)
    lines = (f'<tr class="{kind(row)}">{"".join(f"<td>{escape(x)}</td>" for x in row)}</tr>' for row in rows)
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def _image(url: str, text: str) -> str:
    return f'<img src="{url}" alt="{escape(text)}"/>'
