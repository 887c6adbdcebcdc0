"""Random batches for any config, to compare frameworks and to time them."""

import numpy as np
from jaxtyping import Bool, Float32

from configs.batch import Batch, BottleneckNoise, Frames, Student, Target, Text
from configs.config import Config
from configs.encodings.timecode import PERIOD_CODE_WIDTH, RELATIVE_TIMECODE_WIDTH, TIMECODE_WIDTH
from configs.source import Source

SEQUENCES = 2
"""Sequences of a batch by default."""
FRAMES = 3
"""Frames of each input source, unless a batch is full."""
STUDENT_FRAMES = 2
"""Frames of each input source for the student, unless a batch is full."""


def random_batch(
    config: Config,
    side: int = 32,
    seed: int = 0,
    sequences: int = SEQUENCES,
    full: bool = False,
) -> tuple[Batch, BottleneckNoise]:
    """Draw a batch with a target of every decoded source, and the bottleneck's noise.

    The last of three or more sequences has no text.

    Args:
        config: sources and sizes.
        side: pixels along a tile.
        seed: equal arguments give equal numbers.
        sequences: B.
        full: use the whole frame budgets of teacher and student, instead of a few frames.

    Returns:
        The batch and the noise for its targets, as NumPy arrays.
    """
    generator = np.random.default_rng(seed)
    frames = random_frames(config, side, seed, sequences, full)
    student = {
        source.name: _student(frames[source.name].present, source.student_budget if full else STUDENT_FRAMES, generator)
        for source in config.input_sources
    }
    targets = {source.name: _target(source, (sequences, side, side), generator) for source in config.decoded_sources}
    shape = sequences, len(targets), side, side
    radial = generator.gamma((config.model.embed_dim - 1) / 2, 1 / config.model.kappa, shape).astype(np.float32)
    noise = BottleneckNoise(radial, generator.standard_normal((*shape, config.model.embed_dim), np.float32))
    text = _text(config, side, sequences, generator)
    return Batch(frames, student, targets, random_periods(1, seed, sequences)[:, 0], text), noise


def random_frames(
    config: Config, side: int = 32, seed: int = 0, sequences: int = SEQUENCES, full: bool = False
) -> dict[str, Frames]:
    """Draw frames of each input source. Some are absent, but no sequence lacks a source. Some lack bands.

    Args:
        config: sources.
        side: pixels along a tile.
        seed: equal arguments give equal numbers.
        sequences: B.
        full: use the whole frame budgets instead of a few frames.

    Returns:
        Frames by source name.
    """
    generator = np.random.default_rng(seed)
    frames = {}
    for source in config.input_sources:
        number = source.frame_budget if full else FRAMES
        present = generator.random((sequences, number)) < 0.6
        present[:, number // 2] = True
        pixels = generator.standard_normal((sequences, number, side, side, source.channels), np.float32)
        timecodes = generator.uniform(-1, 1, (sequences, number, TIMECODE_WIDTH)).astype(np.float32)
        bands = generator.random((sequences, number, source.channels)) < 0.8
        frames[source.name] = Frames(pixels * bands[:, :, None, None], timecodes, present, bands)
    return frames


def random_periods(number: int = 2, seed: int = 0, sequences: int = SEQUENCES) -> Float32[np.ndarray, "B P K2"]:
    """Draw codes of valid periods.

    Args:
        number: P.
        seed: equal arguments give equal numbers.
        sequences: B.

    Returns:
        Codes, uniform in [-1, 1).
    """
    return np.random.default_rng(seed).uniform(-1, 1, (sequences, number, PERIOD_CODE_WIDTH)).astype(np.float32)


def _student(present: Bool[np.ndarray, "B N"], slots: int, generator: np.random.Generator) -> Student:
    """Draw some of the frames that are present, in any order; possibly none."""
    index = np.argsort(generator.random(present.shape), axis=1)[:, :slots].astype(np.int32)
    return Student(index, np.take_along_axis(present, index, axis=1) & (generator.random(index.shape) < 0.8))


def _text(config: Config, side: int, sequences: int, generator: np.random.Generator) -> Text:
    return Text(
        generator.standard_normal((sequences, config.model.text_width), np.float32),
        generator.integers(side, size=(sequences, 2), dtype=np.int32),
        generator.uniform(-1, 1, (sequences, PERIOD_CODE_WIDTH)).astype(np.float32),
        np.arange(sequences) < max(2, sequences - 1),
    )


def _target(source: Source, grid: tuple[int, int, int], generator: np.random.Generator) -> Target:
    classes = source.kind == "classes"
    shape = grid if classes else (*grid, source.channels)
    pixels = generator.standard_normal(shape, np.float32)
    return Target(
        generator.integers(source.classes, size=shape, dtype=np.int32) if classes else pixels,
        generator.random(shape) < 0.7,
        generator.uniform(-1, 1, (grid[0], PERIOD_CODE_WIDTH)).astype(np.float32),
        generator.uniform(-1, 1, (grid[0], RELATIVE_TIMECODE_WIDTH * source.timed)).astype(np.float32),
        generator.uniform(-1, 1, (grid[0], source.metadata_width)).astype(np.float32),
        generator.integers(max(1, round(source.regrid_m / 10)), size=(grid[0], 2), dtype=np.int32),
    )
