"""`aef data show`: draw one training example as a picture of its times, its targets and some of its inputs."""

import textwrap
from pathlib import Path

from matplotlib.figure import Figure

from aef_jax.console.dates import format_period
from aef_jax.data.inspect.thumbnails import draw_inputs, draw_targets, inputs_height, targets_height
from aef_jax.data.inspect.timeline import STATUSES, FrameMark, draw_timeline, frame_marks, timeline_height
from aef_jax.data.loading.training_data import open_examples
from aef_jax.data.sampling.examples import DrawnExample
from aef_jax.visualize.pictures import save_png
from configs.batch import Batch
from configs.config import Config
from configs.serialization.printable import printable

_WIDTH = 14.0
_LINE_LETTERS = 205
"""Letters of a text that fit the picture's width."""
_MAX_LINES = 4


def write_example_png(config: Config, index: int, output: Path) -> str:
    """Draw one training example of a run as a picture.

    Args:
        config: the run's config; `data.path` names the data set.
        index: of the run's examples, counted from 0.
        output: the PNG.

    Returns:
        A few lines that describe the example.

    Raises:
        ValueError: the run draws no such example, or the data do not fit the config.
    """
    examples = open_examples(config)
    if not 0 <= index < len(examples):
        raise ValueError(f"example {index}: the run draws {len(examples)}, expected one from 0 to {len(examples) - 1}")
    drawn = examples.draw(index)
    batch = drawn.to_batch()
    schema = examples.schema
    inputs = {source.name: frame_marks(source, drawn) for source in schema.input_sources}
    lines = _description(index, drawn, inputs, config.data.time_jitter_days)
    text = _text(batch, drawn)
    heights = [
        0.6 + 0.18 * len(text),
        timeline_height(len(inputs), 1 + len(schema.sources) + bool(text)),
        targets_height(len(schema.sources)),
        inputs_height(len(inputs)),
    ]
    figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
    head, times, targets, frames = figure.subfigures(4, 1, squeeze=False, height_ratios=heights)[:, 0]
    head.text(0.01, 0.98, lines[0], va="top", fontsize=12, parse_math=False)
    below = [lines[1], *text]
    head.text(0.01, 0.98, "\n\n" + "\n".join(below), va="top", fontsize=9, linespacing=1.3, parse_math=False)
    draw_timeline(times, inputs, schema.sources, drawn)
    draw_targets(targets, schema.sources, batch, drawn, schema.normalization)
    draw_inputs(frames, schema.input_sources, batch, drawn, schema.normalization)
    save_png(figure, output)
    return "\n".join([*lines, *text])


def _description(index: int, drawn: DrawnExample, inputs: dict[str, list[FrameMark]], jitter_days: int) -> list[str]:
    location, side = drawn.location, drawn.tile.shape[0]
    lines = [
        f"example {index}: site {printable(drawn.tile.name)}, tile of {side} x {side} pixels at row {location.row},"
        f" column {location.column}; support period {format_period(location.support)}"
    ]
    seen = "frames dropped at random"
    if drawn.student_half:
        forecast = drawn.student_half[0] == location.support[0]
        seen = (
            "the latter half, from the former: forecast" if forecast else "the former half, from the latter: backcast"
        )
    moved = f"; time jitter: all dates are moved alike, by up to {jitter_days} days" if jitter_days else ""
    lines.append(f"teacher and student are compared over {format_period(drawn.shared_period)} ({seen}){moved}")
    for name, frames in inputs.items():
        counts = ((sum(mark.status is status for mark in frames), status.name) for status in STATUSES)
        listed = ", ".join(f"{count} {status}" for count, status in counts if count)
        lines.append(f"{name}: {len(frames)} frames" + (f" ({listed})" if listed else ""))
    if drawn.tile.labels:
        lines.append(f"label maps, which training does not read: {', '.join(drawn.tile.labels)}")
    return lines


def _text(batch: Batch, drawn: DrawnExample) -> list[str]:
    """Return lines that describe the example's text; none if it has no text."""
    if batch.text is None or not batch.text.present or drawn.text_point is None:
        return []
    text = drawn.tile.text
    row, column = batch.text.pixel.tolist()
    words = (
        printable(" ".join(text.words[drawn.text_point].split()), None)
        if text.words
        else "(the record does not hold its words)"
    )
    period = (int(text.period_ms[drawn.text_point, 0]), int(text.period_ms[drawn.text_point, 1]))
    line = f"text at row {row}, column {column} of the tile, true of {format_period(period)}: {words}"
    return textwrap.wrap(line, _LINE_LETTERS, max_lines=_MAX_LINES, placeholder=" ...")
