"""Pack the frames of all sources into one array, so that few programs are compiled whatever the numbers of frames.

If each source had an array of its own, each combination of their lengths would be a program. Here a program is compiled
for each of `BUDGETS` that occurs. Frames without data are not packed, so they cost nothing.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aef_jax.model.alphaearth import AlphaEarth, Encoded
from configs.batch import Frames
from configs.source import Source

BUDGETS = (16, 32, 64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Numbers of frames of programs. Above the largest one, multiples of it."""


class PackedFrames(NamedTuple):
    """Frames of all input sources. Letters as in configs/batch.py; C is the most bands of a source."""

    pixels: Float[np.ndarray, "B T H W C"]
    """z-scored; bands that the source of a frame does not have are 0."""
    timecodes: Float[np.ndarray, "B T K"]
    source: np.ndarray  # Int8 "B T": index of the frame's source; -1 for no frame
    bands: np.ndarray  # Bool "B T C": bands of which the frame has data


def budget_of(count: int) -> int:
    """Return the number of frames of the program that computes a number of frames.

    Args:
        count: frames of all sources.

    Returns:
        One of `BUDGETS`, or a multiple of the largest one.
    """
    for budget in BUDGETS:
        if count <= budget:
            return budget
    return -(-count // BUDGETS[-1]) * BUDGETS[-1]


def max_present(frames: Mapping[str, Frames]) -> int:
    """Count the frames of a batch's longest sequence.

    Args:
        frames: frames by source, in NumPy arrays.

    Returns:
        The most present frames of all sources in one sequence.
    """
    return int(np.sum([of_source.present.sum(axis=1) for of_source in frames.values()], axis=0).max())


def pack_frames(frames: Mapping[str, Frames], sources: Sequence[Source], sequences: int, budget: int) -> PackedFrames:
    """Pack the present frames of a batch.

    Args:
        frames: frames by source, in NumPy arrays.
        sources: the model's input sources.
        sequences: sequences of the packed batch, at least those of `frames`. Further ones have no frame.
        budget: frames of the packed batch, at least `max_present`.

    Returns:
        The frames, for each sequence in the order of the sources.
    """
    any_source = next(iter(frames.values()))
    height, width, codes = *any_source.pixels.shape[2:4], any_source.timecodes.shape[-1]
    channels = max(source.channels for source in sources)
    packed = PackedFrames(
        np.zeros((sequences, budget, height, width, channels), np.float32),
        np.zeros((sequences, budget, codes), np.float32),
        np.full((sequences, budget), -1, np.int8),
        np.zeros((sequences, budget, channels), bool),
    )
    for row in range(len(any_source.present)):
        begin = 0
        for index, source in enumerate(sources):
            if source.name not in frames:
                continue
            given = frames[source.name]
            chosen = np.flatnonzero(given.present[row])
            place = slice(begin, begin + len(chosen))
            packed.pixels[row, place, :, :, : source.channels] = given.pixels[row, chosen]
            packed.timecodes[row, place] = given.timecodes[row, chosen]
            packed.source[row, place] = index
            packed.bands[row, place, : source.channels] = given.bands[row, chosen]
            begin = place.stop
    return packed


def embed_packed(
    model: AlphaEarth, sources: Sequence[Source], packed: PackedFrames, periods: Float[Array, "B P K2"]
) -> Float[Array, "B P H W D"]:
    """Compute what `AlphaEarth.__call__` computes of frames that are not packed.

    Each frame goes through the encoders of all sources, of which one counts: they are a small part of the model.

    Args:
        model: the model.
        sources: its input sources, in the order of `pack_frames`.
        packed: the frames.
        periods: codes of the valid periods.

    Returns:
        Fields of unit vectors.
    """
    pixels, bands = jnp.asarray(packed.pixels), jnp.asarray(packed.bands)
    features = jnp.zeros(())
    for index, source in enumerate(sources):
        is_source = jnp.asarray(packed.source == index)
        channels = slice(source.channels)
        of_source = model.source_encoders[source.name](
            pixels[..., channels].astype(model.dtype), is_source, bands[..., channels]
        )
        features = jnp.where(is_source[:, :, None, None, None], of_source, features)
    present = jnp.asarray(packed.source >= 0)
    timecodes = jnp.where(present[..., None], packed.timecodes.astype(model.dtype), 0)
    return model.summarize(Encoded(model.encoder(features, timecodes, present), timecodes, present), periods)
