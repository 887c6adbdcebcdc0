"""Draw one training example from a site: every random choice of a step is made here, on the host.

An example is a `Batch` of one sequence, without its batch axis. Choices that the paper leaves open are ours, such as
that a target must show some ground.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aef_jax.data.sampling.inputs import DrawnFrames, draw_frames, draw_student, no_frames, no_student
from aef_jax.data.sampling.targets import choose_target, draw_period, encode_period, make_target, no_target
from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.site import Period, Series, Site
from configs.batch import Batch, Student, Target, Text
from configs.config import Config
from configs.encodings.timecode import DAY_MS
from configs.source import Source


@dataclass(frozen=True)
class DatasetSchema:
    """What every example of a training set holds. A site that lacks a source gives absent frames of it."""

    sources: tuple[Source, ...]
    """Sources that are both in the config and in the data, in the config's order."""
    normalization: Normalization
    text_width: int = 0
    """Numbers in a sentence embedding; 0 if there is no text."""

    @property
    def input_sources(self) -> tuple[Source, ...]:
        """The sources that the encoder takes."""
        return tuple(source for source in self.sources if source.is_input)


class TileLocation(NamedTuple):
    """A tile of a site, and a support period."""

    row: int
    column: int
    support: Period


class DrawnSource(NamedTuple):
    """What was drawn for one source of an example."""

    target: Target
    summary_period: Period
    target_index: int | None
    """The frame to reconstruct, counted within the support period; None if no frame has enough valid pixels."""
    teacher: DrawnFrames | None
    """The teacher's frames; None if the source is no input."""
    student: Student | None
    """Which of them the student sees; None if the source is no input."""


class DrawnExample(NamedTuple):
    """What was drawn for an example, before it is encoded as a batch."""

    location: TileLocation
    tile: Site
    """The ground of the example, as stored."""
    shared_period: Period
    """Valid period over which teacher and student are compared."""
    student_half: Period | None
    """The half of the support period that the student sees; None if it sees all of it."""
    sources: dict[str, DrawnSource]
    text: Text | None
    text_point: int | None
    """Which of the tile's text points; None if there is none."""

    def to_batch(self) -> Batch:
        """Encode the example.

        Returns:
            A batch of one sequence, without its batch axis.
        """
        sources = self.sources.items()
        return Batch(
            frames={name: drawn.teacher.frames for name, drawn in sources if drawn.teacher is not None},
            student={name: drawn.student for name, drawn in sources if drawn.student is not None},
            targets={name: drawn.target for name, drawn in sources},
            shared_period=encode_period(self.shared_period),
            text=self.text,
        )


def draw_location(site: Site, config: Config, rng: np.random.Generator) -> TileLocation:
    """Draw a tile anywhere in a site, and a support period.

    Args:
        site: its own support period is taken, if it has one; otherwise one is drawn from the years that its inputs
            cover (or its targets, if it has no input).
        config: gives the tile's side and the periods' lengths.
        rng: draws the location.

    Returns:
        The location.

    Raises:
        ValueError: the site is too small, its support period too short, or it has neither that nor a frame with a date.
    """
    side, (height, width) = config.data.tile_side, site.shape
    if min(height, width) < side:
        raise ValueError(f"site {site.name}: {height} x {width} pixels, expected at least one tile of {side} x {side}")
    support = site.support or _draw_support(site, config, rng)
    if support[1] - support[0] < 2 * config.data.min_period_days * DAY_MS:
        raise ValueError(
            f"site {site.name}: its support period has {(support[1] - support[0]) / DAY_MS:g} days, expected at least"
            f" {2 * config.data.min_period_days}, as each half must hold a valid period"
        )
    return TileLocation(int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1)), support)


def draw_example(
    site: Site,
    schema: DatasetSchema,
    config: Config,
    location: TileLocation,
    rng: np.random.Generator,
    target_ms: dict[str, int] | None = None,
) -> Batch:
    """Draw the example of a site at a location. The same arguments give the same example, bit for bit.

    Args:
        site: as stored.
        schema: sources and statistics of the training set.
        config: gives the tile's side, the objective and the bounds of periods.
        location: tile and support period.
        rng: draws everything else.
        target_ms: acquisition time of the target by source, for evaluation: the teacher then sees all other frames,
            without line gaps. None: targets are drawn, as in training.

    Returns:
        A batch of one sequence, without its batch axis.
    """
    return draw_parts(site, schema, config, location, rng, target_ms).to_batch()


def draw_parts(
    site: Site,
    schema: DatasetSchema,
    config: Config,
    location: TileLocation,
    rng: np.random.Generator,
    target_ms: dict[str, int] | None = None,
) -> DrawnExample:
    """Draw what `draw_example` encodes as a batch.

    Args:
        site: as stored.
        schema: sources and statistics of the training set.
        config: gives the tile's side, the objective and the bounds of periods.
        location: tile and support period.
        rng: draws everything else.
        target_ms: fixed acquisition time of the target by source.

    Returns:
        The example in parts, with periods and frames as they were drawn.
    """
    side = config.data.tile_side
    tile = site.window(slice(location.row, location.row + side), slice(location.column, location.column + side))
    shared_period, student_half = _draw_perturbation(location.support, config, rng)
    sources = {}
    for source in schema.sources:
        fixed_ms = (target_ms or {}).get(source.name)
        series = frames_in_period(source, tile, location.support)
        target = _draw_target(source, series, schema.normalization, location.support, config, rng, fixed_ms)
        inputs = None, None
        if source.is_input:
            is_training = target_ms is None
            inputs = _draw_inputs(
                source, series, target[2], schema.normalization, student_half, config, rng, is_training
            )
        sources[source.name] = DrawnSource(*target, *inputs)
    text, point = _draw_text(tile, schema.text_width, location.support, rng) if schema.text_width else (None, None)
    return DrawnExample(location, tile, shared_period, student_half, sources, text, point)


def frames_in_period(source: Source, tile: Site, support: Period) -> Series | None:
    """Return a source's frames of the support period.

    Args:
        source: a static one gives all its frames, whatever their dates.
        tile: the ground.
        support: the support period.

    Returns:
        The frames; None if the tile lacks the source.
    """
    series = tile.series.get(source.name)
    return series.between(*support) if series is not None and source.timed else series


def _draw_target(
    source: Source,
    series: Series | None,
    normalization: Normalization,
    support: Period,
    config: Config,
    rng: np.random.Generator,
    fixed_ms: int | None,
) -> tuple[Target, Period, int | None]:
    index = None
    if series is not None:
        index = choose_target(source, series, config, rng) if fixed_ms is None else _frame_at(series, fixed_ms)
    if series is None or index is None:
        return *no_target(source, config.data.tile_side, support, config, rng), None
    return *make_target(source, series, index, normalization, support, config, rng), index


def _draw_inputs(
    source: Source,
    series: Series | None,
    target_index: int | None,
    normalization: Normalization,
    student_half: Period | None,
    config: Config,
    rng: np.random.Generator,
    is_training: bool,
) -> tuple[DrawnFrames, Student]:
    if series is None:
        return no_frames(source, config.data.tile_side), no_student(source)
    dropout = config.data.teacher_frame_dropout and is_training
    teacher = draw_frames(source, series, target_index, normalization, rng, dropout, gaps=is_training)
    return teacher, draw_student(source, teacher.frames.present, teacher.time_ms, student_half, rng)


def _draw_support(site: Site, config: Config, rng: np.random.Generator) -> Period:
    shown = [
        source
        for source in config.decoded_sources
        if source.timed and source.name in site.series and len(site.series[source.name].time_ms)
    ]
    if not shown:
        raise ValueError(f"site {site.name}: it has no support period and no frame of a source, expected one of both")
    inputs = [source for source in shown if source.is_input]
    times = [site.series[source.name].time_ms for source in inputs or shown]
    first, last = int(min(time_ms[0] for time_ms in times)), int(max(time_ms[-1] for time_ms in times))
    length = config.data.support_days * DAY_MS
    start = int(rng.integers(first, max(first, last + 1 - length) + 1))  # a period does not contain its end
    return start, start + length


def _draw_perturbation(support: Period, config: Config, rng: np.random.Generator) -> tuple[Period, Period | None]:
    """Draw the period that teacher and student share, and the half of the year that the student sees (None: all of it).

    One of three, at equal odds: frames dropped at random; the latter half dropped (forecast); the former (backcast).
    """
    middle = (support[0] + support[1]) // 2
    halves = (support[0], middle), (middle, support[1])
    match rng.integers(3):
        case 0:
            return draw_period(support, config, rng), None
        case 1:
            return draw_period(halves[1], config, rng), halves[0]
        case _:
            return draw_period(halves[0], config, rng), halves[1]


def _frame_at(series: Series, time_ms: int) -> int:
    """Return the frame acquired at a time; of several scenes of an overpass, the one with most valid pixels."""
    scenes = np.flatnonzero(series.time_ms == time_ms)
    return int(scenes[np.argmax(series.valid[scenes].mean(axis=(1, 2, 3)))])


def _draw_text(tile: Site, width: int, support: Period, rng: np.random.Generator) -> tuple[Text, int | None]:
    """Draw one of the text points that are true of some of the support period, and return its index too."""
    start, end = tile.text.period_ms.T
    points = np.flatnonzero((start < support[1]) & (end > support[0]))
    if len(points) and tile.text.sentence.shape[1] != width:
        raise ValueError(
            f"site {tile.name}: sentence embeddings of {tile.text.sentence.shape[1]} numbers, expected {width}"
        )
    if not len(points):
        absent = np.zeros(width, np.float32), np.zeros(2, np.int32), encode_period(support)
        return Text(*absent, present=np.asarray(False)), None
    point = int(rng.choice(points))
    pixel = np.array([tile.text.row[point], tile.text.column[point]], np.int32)
    period = encode_period((int(start[point]), int(end[point])))
    return Text(tile.text.sentence[point].astype(np.float32), pixel, period, present=np.asarray(True)), point
