"""Define the classes of land cover and the crops."""

from enum import IntEnum
from typing import NamedTuple


class Cover(IntEnum):
    """Latent land cover, which is the labels of the test bench."""

    WATER = 0
    BUILT_UP = 1
    BARE = 2
    CROPLAND = 3
    GRASSLAND = 4
    SHRUB = 5
    DECIDUOUS_FOREST = 6
    EVERGREEN_FOREST = 7
    WETLAND = 8
    SNOW_ICE = 9


class Crop(NamedTuple):
    """A crop and its calendar: days after the growing season begins, in a season of 190 days."""

    name: str
    cdl: int
    """Code in the Cropland Data Layer."""
    green_up: float
    """Day on which the crop is half green."""
    harvest: float
    """Day on which half of the green is gone."""
    onset: float
    """Days that greening takes."""
    fading: float
    """Days that fading takes."""
    cover: float
    """Share of the ground that it hides when it is greenest."""
    height: float
    """Meters when it is greenest."""


CROPS = (
    Crop("maize", 1, 52, 138, 8, 9, 0.95, 2.4),
    Crop("cotton", 2, 72, 165, 12, 8, 0.8, 1.0),
    Crop("rice", 3, 58, 130, 7, 7, 0.9, 0.9),
    Crop("soybeans", 5, 82, 126, 8, 5, 0.95, 0.8),
    Crop("winter wheat", 24, -12, 72, 14, 6, 0.9, 0.8),
    Crop("alfalfa", 36, 5, 185, 8, 8, 0.85, 0.6),
)
"""A field with crop number i has `CROPS[i - 1]`; number 0 is no field."""
RICE, WINTER_WHEAT, ALFALFA = (
    next(i for i, crop in enumerate(CROPS) if crop.name == name) for name in ("rice", "winter wheat", "alfalfa")
)

NUM_KINDS = len(Cover) + len(CROPS)
"""Number of kinds of ground with their own yearly course: every cover, then every crop."""


def crop_kind(crop: int) -> int:
    """Return the number of a crop's kind.

    Args:
        crop: index in `CROPS`.

    Returns:
        The kind.
    """
    return len(Cover) + crop
