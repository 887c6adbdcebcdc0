"""`aef data show`: one drawn training example as a picture of its times, its targets and some of its inputs."""

import textwrap
from pathlib import Path

from matplotlib.figure import Figure

from aef_jax.data.inspect.thumbnails import draw_inputs, draw_targets, inputs_height, targets_height
from aef_jax.data.inspect.timeline import FATES, Mark, draw_timeline, marks, span, timeline_height
from aef_jax.data.loading.training_data import open_examples
from aef_jax.data.sampling.examples import SampleTrace
from aef_jax.visualize.pictures import save_png
from configs.batch import Batch
from configs.config import Config

_WIDTH = 14.0
_LINE = 205
"""Letters of a text that fit the picture's width."""
_MOST_LINES = 4


def write_example_png(config: Config, index: int, output: Path) -> str:
    """Draws example `index` of the run that `config` describes, and tells what it is in a few lines.

    Raises ValueError where the run draws no such example, or the data do not fit the config.
    """
    examples = open_examples(config)
    if not 0 <= index < len(examples):
        raise ValueError(f"example {index}: the run draws {len(examples)}, expected one from 0 to {len(examples) - 1}")
    batch, trace = examples.with_choices(index)
    schema = examples.schema
    inputs = {source.name: marks(source, batch, trace) for source in schema.input_sources}
    lines = _description(index, trace, inputs, config.data.time_jitter_days)
    text = _text(batch, trace)
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
    draw_timeline(times, inputs, schema.sources, trace)
    draw_targets(targets, schema.sources, batch, trace, schema.normalization)
    draw_inputs(frames, schema.input_sources, batch, trace, schema.normalization)
    save_png(figure, output)
    return "\n".join([*lines, *text])


def _description(index: int, trace: SampleTrace, inputs: dict[str, list[Mark]], jitter_days: int) -> list[str]:
    location, side = trace.location, trace.tile.shape[0]
    lines = [
        f"example {index}: site {trace.tile.name}, tile of {side} x {side} pixels at row {location.row}, column"
        f" {location.column}; support period {span(location.support)}"
    ]
    seen = "frames dropped at random"
    if trace.kept:
        forecast = trace.kept[0] == location.support[0]
        seen = (
            "the latter half, from the former: forecast" if forecast else "the former half, from the latter: backcast"
        )
    moved = f"; time jitter: all dates are moved alike, by up to {jitter_days} days" if jitter_days else ""
    lines.append(f"teacher and student are compared over {span(trace.shared)} ({seen}){moved}")
    for name, frames in inputs.items():
        counts = ((sum(mark.fate is fate for mark in frames), fate.name) for fate in FATES)
        told = ", ".join(f"{count} {fate}" for count, fate in counts if count)
        lines.append(f"{name}: {len(frames)} frames" + (f" ({told})" if told else ""))
    return lines


def _text(batch: Batch, trace: SampleTrace) -> list[str]:
    """Lines on the text that the example holds; none where it holds none."""
    if batch.text is None or not batch.text.present or trace.text is None:
        return []
    text = trace.tile.text
    row, column = batch.text.pixel.tolist()
    words = " ".join(text.words[trace.text].split()) if text.words else "(the record does not hold its words)"
    period = (int(text.period_ms[trace.text, 0]), int(text.period_ms[trace.text, 1]))
    told = f"text at row {row}, column {column} of the tile, true of {span(period)}: {words}"
    return textwrap.wrap(told, _LINE, max_lines=_MOST_LINES, placeholder=" ...")
