"""Draw what people build: fields in rows with lanes between them, roads and settlements."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int

from aef_jax.data.synthetic.world.noise import fractal


@dataclass(frozen=True)
class Parcels:
    """The division of the land into rectangles. A parcel's number is the index of its draws, such as its crop."""

    number: Int[np.ndarray, "H W"]
    count: int
    road: Bool[np.ndarray, "H W"]


def draw_parcels(rng: np.random.Generator, shape: tuple[int, int]) -> Parcels:
    """Draw strips at a random angle, each divided at its own distances. Some edges of strips are roads.

    Args:
        rng: random numbers.
        shape: height and width in pixels.

    Returns:
        The parcels.
    """
    angle = rng.uniform(0, np.pi)
    depth, length = rng.uniform(9, 22), rng.uniform(12, 34)
    rows, columns = np.indices(shape, np.float32)
    rows, columns = rows + 0.8 * fractal(rng, shape, 60, 4.5), columns + 0.8 * fractal(rng, shape, 60, 4.5)
    reach = float(np.hypot(*shape))
    across = rows * np.cos(angle) + columns * np.sin(angle) + reach
    along = columns * np.cos(angle) - rows * np.sin(angle) + reach
    strips = int(2.5 * reach / depth) + 2
    edges = np.cumsum(depth * rng.uniform(0.7, 1.3, strips))
    strip = np.searchsorted(edges, across).clip(max=strips - 1)
    cut = along / (length * rng.lognormal(0, 0.3, strips)[strip]) + rng.random(strips)[strip]
    block = np.floor(cut).astype(np.int64)
    label = strip * (block.max() + 1) + block
    _, number = np.unique(label, return_inverse=True)
    number = number.reshape(shape)
    from_edge = np.minimum(np.abs(across - edges[strip]), np.abs(across - edges[(strip - 1).clip(0)]))
    has_road = rng.random(strips) < 0.25
    nearest = np.where(np.abs(across - edges[strip]) <= from_edge, strip, (strip - 1).clip(0))
    road = (from_edge < rng.uniform(0.5, 0.9)) & has_road[nearest]
    return Parcels(number, int(number.max()) + 1, road)


def draw_settlement(rng: np.random.Generator, shape: tuple[int, int], size: float) -> Float32[np.ndarray, "H W"]:
    """Draw how densely the land around a random point is built up.

    Args:
        rng: random numbers.
        shape: height and width in pixels.
        size: approximate radius of the settlement in pixels.

    Returns:
        Numbers above 0 inside the settlement, 1 at its center.
    """
    row, column = (rng.uniform(0.1, 0.9) * length for length in shape)
    rows, columns = np.indices(shape, np.float32)
    distance = np.hypot(rows - row, columns - column) / size
    return (1 - distance + 0.35 * fractal(rng, shape, 25)).clip(-1, 1).astype(np.float32)
