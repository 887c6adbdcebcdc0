"""`aef data show`: one drawn training example as a picture of its times, its targets and some of its inputs."""

import textwrap
from pathlib import Path

from matplotlib.figure import Figure

from aef_jax.data.inspect.thumbnails import draw_inputs, draw_targets, inputs_height, targets_height
from aef_jax.data.inspect.timeline import FATES, Mark, draw_timeline, marks, span, timeline_height
from aef_jax.data.loading.training_data import open_examples
from aef_jax.data.sampling.examples import Choices
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
    batch, choices = examples.with_choices(index)
    held = examples.held
    inputs = {source.name: marks(source, batch, choices) for source in held.input_sources}
    lines = _description(index, choices, inputs, config.data.time_jitter_days)
    text = _text(batch, choices)
    heights = [
        0.6 + 0.18 * len(text),
        timeline_height(len(inputs), 1 + len(held.sources) + bool(text)),
        targets_height(len(held.sources)),
        inputs_height(len(inputs)),
    ]
    figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
    head, times, targets, frames = figure.subfigures(4, 1, squeeze=False, height_ratios=heights)[:, 0]
    head.text(0.01, 0.98, lines[0], va="top", fontsize=12, parse_math=False)
    below = [lines[1], *text]
    head.text(0.01, 0.98, "\n\n" + "\n".join(below), va="top", fontsize=9, linespacing=1.3, parse_math=False)
    draw_timeline(times, inputs, held.sources, choices)
    draw_targets(targets, held.sources, batch, choices, held.normalisation)
    draw_inputs(frames, held.input_sources, batch, choices, held.normalisation)
    save_png(figure, output)
    return "\n".join([*lines, *text])


def _description(index: int, choices: Choices, inputs: dict[str, list[Mark]], jitter_days: int) -> list[str]:
    place, side = choices.place, choices.tile.shape[0]
    lines = [
        f"example {index}: site {choices.tile.name}, tile of {side} x {side} pixels at row {place.row}, column"
        f" {place.column}; support period {span(place.support)}"
    ]
    seen = "frames dropped at random"
    if choices.kept:
        forecast = choices.kept[0] == place.support[0]
        seen = (
            "the latter half, from the former: forecast" if forecast else "the former half, from the latter: backcast"
        )
    moved = f"; time jitter: all dates are moved alike, by up to {jitter_days} days" if jitter_days else ""
    lines.append(f"teacher and student are compared over {span(choices.shared)} ({seen}){moved}")
    for name, frames in inputs.items():
        counts = ((sum(mark.fate is fate for mark in frames), fate.name) for fate in FATES)
        told = ", ".join(f"{count} {fate}" for count, fate in counts if count)
        lines.append(f"{name}: {len(frames)} frames" + (f" ({told})" if told else ""))
    return lines


def _text(batch: Batch, choices: Choices) -> list[str]:
    """Lines on the text that the example holds; none where it holds none."""
    if batch.text is None or not batch.text.present or choices.text is None:
        return []
    text = choices.tile.text
    row, column = batch.text.pixel.tolist()
    words = " ".join(text.words[choices.text].split()) if text.words else "(the record does not hold its words)"
    period = (int(text.period_ms[choices.text, 0]), int(text.period_ms[choices.text, 1]))
    told = f"text at row {row}, column {column} of the tile, true of {span(period)}: {words}"
    return textwrap.wrap(told, _LINE, max_lines=_MOST_LINES, placeholder=" ...")
