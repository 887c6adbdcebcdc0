"""Draw the metrics of a run over its steps as PNG."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from aef_jax.run.metrics_record import parse_record
from aef_jax.visualize.pictures import save_png
from configs.serialization.printable import picture_text
from configs.serialization.read_file import read_text

MAX_METRICS_BYTES = 2**30
"""Most bytes of `metrics.jsonl` whose curves are drawn: those of two million steps."""


def read_metrics(path: Path) -> list[dict]:
    """Read the records of a run. A last line that the end of the run cut off is ignored.

    Args:
        path: of `metrics.jsonl`.

    Returns:
        The records.

    Raises:
        ValueError: if another line is no record. The message names the file and the line.
    """
    lines = read_text(path, MAX_METRICS_BYTES).splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(parse_record(line))
        except ValueError as error:
            if number < len(lines):
                raise ValueError(f"{path}, line {number}: not a record of metrics ({error})") from None
    return records


def write_loss_curves_png(path: Path, records: Iterable[dict]) -> None:
    """Write `draw_loss_curves` as a picture.

    Args:
        path: the PNG file to write.
        records: of the run.

    Raises:
        ValueError: if there is no training record.
    """
    save_png(draw_loss_curves(records, str(path)), path)


def draw_loss_curves(records: Iterable[dict], where: str) -> Figure:
    """Draw the training terms and, for each source, the validation L1 of the model and its baselines over steps.

    Args:
        records: such as {"step": ..., "kind": "train" or "validation", name: value, ...}; a step's last one counts.
        where: what is drawn, for messages.

    Returns:
        The figure.

    Raises:
        ValueError: if there is no training record.
    """
    records = list(records)
    train, validation = (_by_step(records, kind) for kind in ("train", "validation"))
    if not train:
        raise ValueError(f"{where}: there is no record of kind 'train', so there is nothing to draw")
    decoded, compared = (_sources(rows, prefix) for rows, prefix in ((train, "reconstruction/"), (validation, "l1/")))
    count = 2 + len(compared)
    columns = min(3, count)
    lines = -(-count // columns)
    figure = Figure(figsize=(4.4 * columns, 3.3 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    _draw_terms(
        panels[0], train, {"loss": "loss", **{f"reconstruction/{name}": picture_text(name) for name in decoded}}
    )
    panels[0].set_title("training: loss, and reconstruction by source", fontsize=11)
    _draw_terms(panels[1], train, {name: name for name in ("uniformity", "consistency")})
    panels[1].set_title("training: terms on the embedding", fontsize=11)
    for panel, source in zip(panels[2:], compared, strict=False):
        _draw_validation(panel, validation, source)
    for panel in panels[:count]:
        panel.set_xlabel("step")
        panel.set_xlim(left=0)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=9)
    for panel in panels[count:]:
        panel.remove()
    return figure


def _by_step(records: list[dict], kind: str) -> list[dict]:
    return [row for _, row in sorted({row["step"]: row for row in records if row["kind"] == kind}.items())]


def _sources(rows: list[dict], prefix: str) -> list[str]:
    return sorted({name.removeprefix(prefix) for row in rows for name in row if name.startswith(prefix)})


def _curve(rows: list[dict], name: str) -> Float[np.ndarray, "2 N"]:
    """Return the steps and the values of one quantity, at the steps that recorded it."""
    return np.array([(row["step"], row[name]) for row in rows if row.get(name) is not None], float).reshape(-1, 2).T


def _draw_terms(panel: Axes, rows: list[dict], labels: dict[str, str]) -> None:
    """Draw each term faintly, because it jumps from batch to batch, and its running mean on top."""
    for name, label in labels.items():
        steps, values = _curve(rows, name)
        if not len(steps):
            continue
        window = np.ones(max(1, len(steps) // 25))
        mean = np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")
        (line,) = panel.plot(steps, mean, label=label, linewidth=1.8)
        panel.plot(steps, values, color=line.get_color(), alpha=0.25, linewidth=0.8)
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.yaxis.set_minor_locator(NullLocator())


def _draw_validation(panel: Axes, rows: list[dict], source: str) -> None:
    styles = {
        f"l1_mean/{source}": ("mean of training", "#e69f00", ":"),
        f"l1_persistence/{source}": ("nearest clear frame", "#009e73", "--"),
        f"l1/{source}": ("model", "#0072b2", "-"),
    }
    for name, (label, color, style) in styles.items():
        steps, values = _curve(rows, name)
        panel.plot(steps, values, style, color=color, label=label, marker="o", markersize=3)
    panel.set_title(f"validation: {picture_text(source)}", fontsize=11)
    panel.set_ylabel("L1 (standard deviations)")
