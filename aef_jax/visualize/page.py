"""Pages that are one HTML file, which needs no other file and no network: dark on light, in the reader's own fonts."""

import base64
import io
from collections.abc import Callable, Iterable, Sequence

import matplotlib
from matplotlib.figure import Figure

from configs.serialization.printable import html_text

STYLE = """
body { margin: 0; background: #fcfcfb; color: #222; font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 80px; }
h1 { font-size: 24px; margin: 0 0 8px; }
h2 { font-size: 18px; margin: 36px 0 8px; border-top: 1px solid #ddd; padding-top: 16px; }
p { margin: 4px 0 10px; max-width: 76ch; }
img { width: 100%; height: auto; }
code { font-size: 13px; overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: 6px 0 12px; font-size: 13px; }
th, td { text-align: left; padding: 2px 12px 2px 0; vertical-align: top; border-bottom: 1px solid #eee; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
th { font-weight: 600; color: #555; }
tr.sum td { font-weight: 600; }
tr.fail td { color: #b3261e; }
td.number { text-align: right; }
.verdict { display: inline-block; padding: 2px 14px; border-radius: 4px; font-weight: 600; }
.tree details { margin-left: 18px; border-left: 1px solid #ddd; padding-left: 10px; }
.tree > details { margin-left: 0; border: 0; padding-left: 0; }
summary { cursor: pointer; padding: 1px 0; }
summary > span:first-child { padding: 0 6px; border-radius: 3px; font-weight: 600; }
.badge { display: inline-block; padding: 0 6px; border-radius: 3px; font-size: 12px; }
.quiet { color: #888; font-size: 12px; }
.none { background: none; }
.pass, .shade0 { background: #cfe8d5; }
.shade1 { background: #e6f0cf; }
.shade2 { background: #fbe6b8; }
span.fail, p.fail { background: #f3b8b0; }
"""


def html_page(title: str, parts: Iterable[str]) -> str:
    """Make a page.

    Args:
        title: of the browser's tab, as text.
        parts: of the body, as HTML.

    Returns:
        The HTML.
    """
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/><title>{html_text(title)}</title>'
        f"<style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def html_table(
    head: Iterable[str], rows: Iterable[Sequence[str]], row_class: Callable[[Sequence[str]], str] = lambda _: ""
) -> str:
    """Make a table.

    Args:
        head: names of the columns.
        rows: cells, as text.
        row_class: returns a row's CSS class.

    Returns:
        The HTML, with all texts escaped.
    """
    top = "".join(f"<th>{html_text(text)}</th>" for text in head)
    lines = (f'<tr class="{row_class(row)}">{"".join(f"<td>{html_text(x)}</td>" for x in row)}</tr>' for row in rows)
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def html_image(figure: Figure, text: str) -> str:
    """Draw a figure into a page.

    Args:
        figure: the figure.
        text: what it shows, for readers who do not see it.

    Returns:
        The HTML of an SVG. Equal figures give equal bytes.
    """
    buffer = io.BytesIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": "aef"}):
        figure.savefig(buffer, format="svg", metadata=nothing)
    url = f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return f'<img src="{url}" alt="{html_text(text)}"/>'
