"""Read fields window by window, so that memory is bounded however large they are."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from aef_jax.inference.field import Field, Window, windows
from configs.serialization.printable import printable

WINDOW = 256
"""Pixels of a window's side: 17 MB of 64 numbers."""
SAMPLE_WINDOWS = 64
"""Windows that a sample is drawn from, at most."""


def each_window(shape: tuple[int, int], label: str) -> Iterator[Window]:
    """Divide a grid into windows, with a progress bar if the work takes more than a second.

    Args:
        shape: rows and columns of the grid.
        label: of the bar.

    Yields:
        The windows, row by row.
    """
    yield from tqdm(list(windows(shape, WINDOW)), label, unit="window", delay=1)


def sample_vectors(field: Field, count: int, seed: int = 0) -> Float32[np.ndarray, "N D"]:
    """Draw vectors of a field at random, from `SAMPLE_WINDOWS` windows that are spread over it.

    Args:
        field: the field.
        count: number of vectors, at most.
        seed: of the draw.

    Returns:
        Unit vectors; none is NaN.

    Raises:
        ValueError: no pixel of these windows has data.
    """
    rng = np.random.default_rng(seed)
    every = list(windows(field.info.shape, WINDOW))
    order = rng.permutation(len(every))[:SAMPLE_WINDOWS]
    per_window = -(-count // len(order))
    parts = []
    for index in tqdm(order, "sample", unit="window", delay=1):
        vectors = field.read(*every[index])
        vectors = vectors[np.isfinite(vectors).all(axis=-1)]
        parts.append(vectors[rng.permutation(len(vectors))[:per_window]])
    sample = np.concatenate(parts)
    if not len(sample):
        raise ValueError("the embedding field has no pixel with data where it was sampled, so nothing can be fitted")
    return sample[:count]


def require_same_grid(fields: Sequence[tuple[str, Field]]) -> None:
    """Require that fields have the same grid and width, so that their pixels can be compared.

    Args:
        fields: each with its name for messages.

    Raises:
        ValueError: two of them differ; the message names both.
    """
    (name, first), *others = fields
    for other_name, other in others:
        for what in ("crs", "transform", "shape", "embed_dim"):
            value, expected = getattr(other.info, what), getattr(first.info, what)
            if value != expected:
                raise ValueError(
                    f"{printable(other_name)}: its {what} is {value}, expected {expected} as {printable(name)} has"
                )
