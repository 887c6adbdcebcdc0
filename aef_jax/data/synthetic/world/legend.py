"""The names and numbers of what covers the ground."""

from enum import IntEnum
from typing import NamedTuple


class Cover(IntEnum):
    """Latent land cover: the labels of the test bench."""

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
    """What grows on a field, and when: days after the growing season begins, in a season of 190 days."""

    name: str
    cdl: int
    """Its code in the Cropland Data Layer."""
    green_up: float
    """Half green."""
    harvest: float
    """Half gone."""
    onset: float
    """Days in which it greens."""
    fading: float
    """Days in which it goes."""
    cover: float
    """Share of the ground that it hides at its best."""
    height: float
    """Metres at its best."""


CROPS = (
    Crop("maize", 1, 52, 138, 8, 9, 0.95, 2.4),
    Crop("cotton", 2, 72, 165, 12, 8, 0.8, 1.0),
    Crop("rice", 3, 58, 130, 7, 7, 0.9, 0.9),
    Crop("soybeans", 5, 82, 126, 8, 5, 0.95, 0.8),
    Crop("winter wheat", 24, -12, 72, 14, 6, 0.9, 0.8),
    Crop("alfalfa", 36, 5, 185, 8, 8, 0.85, 0.6),
)
"""Crop number i of a field (from 1; 0 is no field) is `CROPS[i - 1]`."""
RICE, WINTER_WHEAT, ALFALFA = (
    next(i for i, crop in enumerate(CROPS) if crop.name == name) for name in ("rice", "winter wheat", "alfalfa")
)

KINDS = len(Cover) + len(CROPS)
"""What differs in how it looks over the year: every cover, then every crop."""


def crop_kind(crop: int) -> int:
    """The kind of `CROPS[crop]`."""
    return len(Cover) + crop
