"""Simulate the static map of elevation and the two yearly land-cover maps of the United States."""

import numpy as np
from jaxtyping import Bool, Int, UInt8
from scipy.ndimage import uniform_filter

from aef_jax.data.store.site import Series
from aef_jax.data.synthetic.world.climate import Climate
from aef_jax.data.synthetic.world.grid import inner, resample, resampling_matrix
from aef_jax.data.synthetic.world.ground import Ground
from aef_jax.data.synthetic.world.legend import ALFALFA, CROPS, Cover
from aef_jax.data.synthetic.world.orbits import Calendar
from aef_jax.data.terrain import slope_and_aspect

NLCD_CODES = (11, 12, 21, 22, 23, 24, 31, 41, 42, 43, 52, 71, 81, 82, 90, 95)
"""Codes of NLCD's 16 classes; a class index is a position in this tuple."""
_NLCD = {
    Cover.WATER: 11,
    Cover.BARE: 31,
    Cover.CROPLAND: 82,
    Cover.GRASSLAND: 71,
    Cover.SHRUB: 52,
    Cover.DECIDUOUS_FOREST: 41,
    Cover.EVERGREEN_FOREST: 42,
    Cover.WETLAND: 95,
    Cover.SNOW_ICE: 12,
}
_CDL = {
    Cover.WATER: 111,
    Cover.BARE: 131,
    Cover.GRASSLAND: 176,
    Cover.SHRUB: 152,
    Cover.DECIDUOUS_FOREST: 141,
    Cover.EVERGREEN_FOREST: 142,
    Cover.WETLAND: 195,
    Cover.SNOW_ICE: 112,
}
MIXED = {"nlcd": 43, "cdl": 143}
PASTURE, WOODY_WETLAND = 81, 90
CDL_WOODY_WETLAND = 190


def glo30(rng: np.random.Generator, ground: Ground, calendar: Calendar, side: int) -> Series:
    """Simulate Copernicus GLO-30 at 30 m: elevation in meters, slope in radians, sine and cosine of the aspect.

    Args:
        rng: random numbers.
        ground: of the site.
        calendar: of the year.
        side: pixels along each side of the site.

    Returns:
        One frame.
    """
    matrices = [resampling_matrix(side, 3.0, phase=phase) for phase in rng.uniform(0, 3, 2)]
    canopy = 0.5 * ground.height * ground.density  # a surface model is between the ground and the tops of the trees
    elevation = resample(ground.terrain.elevation + canopy, *matrices) + rng.normal(0, 0.3, (side, side))
    derived = slope_and_aspect(uniform_filter(elevation, 3))
    pixels = np.concatenate([elevation[..., None], derived], axis=-1)[None].astype(np.float32)
    return _yearly(pixels, np.ones((1, side, side, 1), bool), calendar)


def nlcd(ground: Ground, climate: Climate, calendar: Calendar, side: int) -> Series:
    """Simulate NLCD: class indices 0 to 15 in pixels of 30 m.

    Args:
        ground: of the site.
        climate: of the site.
        calendar: of the year.
        side: pixels along each side of the site.

    Returns:
        One frame, without valid pixels outside the conterminous United States.
    """
    code = _cover_codes(ground, _NLCD, developed=21, mixed=MIXED["nlcd"])
    pasture = ground.farmed & (ground.landcover == Cover.GRASSLAND) | (ground.crop == ALFALFA + 1)
    code = np.where(pasture, PASTURE, code)
    code = np.where(ground.woody, WOODY_WETLAND, code)
    return _classes(np.searchsorted(NLCD_CODES, code), climate, calendar, side)


def cdl(ground: Ground, climate: Climate, calendar: Calendar, side: int) -> Series:
    """Simulate the Cropland Data Layer: its codes 0 to 255 in pixels of 30 m.

    Args:
        ground: of the site.
        climate: of the site.
        calendar: of the year.
        side: pixels along each side of the site.

    Returns:
        One frame, without valid pixels outside the conterminous United States.
    """
    code = _cover_codes(ground, _CDL, developed=121, mixed=MIXED["cdl"])
    code = np.where(ground.woody, CDL_WOODY_WETLAND, code)
    crops = np.array([0, *(crop.cdl for crop in CROPS)])
    return _classes(np.where(ground.crop > 0, crops[ground.crop], code), climate, calendar, side)


def _cover_codes(ground: Ground, codes: dict[Cover, int], developed: int, mixed: int) -> Int[np.ndarray, "h w"]:
    """Map land cover to codes, with four densities of built-up land and mixed forest, as both maps have."""
    code = np.array([codes.get(cover, 0) for cover in Cover])[ground.landcover]
    built = ground.landcover == Cover.BUILT_UP
    density = uniform_filter(built.astype(np.float32), 9)
    code = np.where(built, developed + np.digitize(density, (0.35, 0.6, 0.85)), code)
    deciduous, evergreen = (
        uniform_filter((ground.landcover == cover).astype(np.float32), 9)
        for cover in (Cover.DECIDUOUS_FOREST, Cover.EVERGREEN_FOREST)
    )
    forest = np.isin(ground.landcover, (Cover.DECIDUOUS_FOREST, Cover.EVERGREEN_FOREST))
    return np.where(forest & (np.minimum(deciduous, evergreen) > 0.35), mixed, code)


def _classes(code: Int[np.ndarray, "h w"], climate: Climate, calendar: Calendar, side: int) -> Series:
    """Take the code at the center of each 30 m pixel."""
    index = 3 * (np.arange(side) // 3) + 1
    coarse = inner(code)[np.ix_(index.clip(max=side - 1), index.clip(max=side - 1))]
    valid: Bool[np.ndarray, "1 H W 1"] = np.full((1, side, side, 1), climate.in_conus)
    pixels: UInt8[np.ndarray, "1 H W 1"] = np.where(valid, coarse[None, ..., None], 0).astype(np.uint8)
    return _yearly(pixels, valid, calendar)


def _yearly(pixels: np.ndarray, valid: Bool[np.ndarray, "1 H W 1"], calendar: Calendar) -> Series:
    """Make a series of one frame, dated at the start of its year."""
    return Series(pixels, valid, np.array([calendar.support[0]], np.int64), np.zeros((1, 0), np.float32))
