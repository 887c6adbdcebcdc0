"""Draw the true state of a site's ground: the cause of what its sensors record, and the labels of the test bench."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8

from aef_jax.data.synthetic.world.climate import Climate
from aef_jax.data.synthetic.world.legend import CROPS, Cover, crop_kind
from aef_jax.data.synthetic.world.noise import fractal, uniform
from aef_jax.data.synthetic.world.parcels import Parcels, draw_parcels, draw_settlement
from aef_jax.data.synthetic.world.phenology import foliage
from aef_jax.data.synthetic.world.terrain import Terrain, draw_terrain

Map = Float32[np.ndarray, "H W"]

DENSITY = {
    Cover.WATER: (0.0, 0.0),
    Cover.BUILT_UP: (0.1, 0.5),
    Cover.BARE: (0.02, 0.2),
    Cover.CROPLAND: (0.85, 1.0),
    Cover.GRASSLAND: (0.5, 0.95),
    Cover.SHRUB: (0.35, 0.8),
    Cover.DECIDUOUS_FOREST: (0.6, 1.0),
    Cover.EVERGREEN_FOREST: (0.45, 1.0),
    Cover.WETLAND: (0.45, 0.95),
    Cover.SNOW_ICE: (0.0, 0.0),
}
"""Share of the ground that plants hide when they are greenest, from sparse to dense. For crops it is a factor on
`Crop.cover`."""

HEIGHT = {
    Cover.BUILT_UP: (2.0, 18.0),
    Cover.SHRUB: (0.6, 3.5),
    Cover.DECIDUOUS_FOREST: (7.0, 28.0),
    Cover.EVERGREEN_FOREST: (6.0, 34.0),
    Cover.WETLAND: (0.3, 1.8),
}
"""Lowest and highest height, in meters, of what stands all year."""


@dataclass(frozen=True)
class Ground:
    """The latent state of a site in one year. Maps include the margin."""

    terrain: Terrain
    parcels: Parcels
    landcover: UInt8[np.ndarray, "H W"]
    crop: UInt8[np.ndarray, "H W"]
    """1 + the index in CROPS, or 0 for none."""
    farmed: Bool[np.ndarray, "H W"]
    """True on fields, whatever grows there; tells pasture from natural grassland."""
    woody: Bool[np.ndarray, "H W"]
    """True on wetland under trees."""
    density: Map
    """Share of the ground that plants hide when they are greenest."""
    height: Map
    """Height of trees, shrubs and houses in meters."""
    lag: Map
    """Days by which the plants' year is later than at other pixels."""
    texture: Map
    """Brightness relative to the kind, a standard normal number."""

    @property
    def kind(self) -> Int[np.ndarray, "H W"]:
        """Row in the tables of phenology and of the sensors."""
        return np.where(self.crop > 0, crop_kind(0) - 1 + self.crop.astype(np.int64), self.landcover)


def draw_ground(
    rng: np.random.Generator, year_rng: np.random.Generator, climate: Climate, shape: tuple[int, int]
) -> Ground:
    """Draw the ground of a site.

    Args:
        rng: random numbers for everything that lasts.
        year_rng: random numbers for what changes from year to year: the crops.
        climate: of the site.
        shape: height and width in pixels.

    Returns:
        The ground.
    """
    terrain = draw_terrain(rng, shape, climate.elevation, climate.region.relief)
    parcels = draw_parcels(rng, shape)
    landcover = _natural_cover(rng, climate, terrain)
    farmed = _farmland(rng, climate, terrain, parcels)
    used = _parcel_use(rng, climate, parcels)
    landcover = np.where(farmed, used[parcels.number], landcover)
    landcover = _add_buildings(rng, climate, parcels, landcover)
    landcover[terrain.water] = Cover.WATER
    landcover = landcover.astype(np.uint8)
    crops = _crop_of_parcels(rng, year_rng, climate, parcels.count)
    crop = np.where(landcover == Cover.CROPLAND, crops[parcels.number], 0).astype(np.uint8)
    woody = (landcover == Cover.WETLAND) & (fractal(rng, shape, 30, slope=4) > 0.8)
    density, height = _plants(rng, landcover, crop, woody)
    own = rng.normal(0, 6, parcels.count)[parcels.number]
    lag = np.where(farmed, own, 4 * fractal(rng, shape, 40)).astype(np.float32)
    patch = np.where(farmed, rng.normal(0, 1, parcels.count)[parcels.number], fractal(rng, shape, 30))
    texture = (0.8 * patch + 0.6 * fractal(rng, shape, 4, slope=2)).astype(np.float32)
    return Ground(terrain, parcels, landcover, crop, farmed, woody, density, height, lag, texture)


def _natural_cover(rng: np.random.Generator, climate: Climate, terrain: Terrain) -> Int[np.ndarray, "H W"]:
    """Draw natural land cover: the class with the best fit to climate and terrain, plus noise."""
    growth = climate.growth.mean()
    dryness = 1 - (climate.wetness * climate.warmth).sum() / max(climate.warmth.sum(), 1e-6)
    leaves = foliage(climate)
    sheds = leaves.max() > 0.6 and leaves.min() < 0.5
    lapse = -0.006 * (terrain.elevation - climate.elevation)
    fit = {
        Cover.BARE: -1.9 + 3.5 * dryness + 3 * terrain.slope + 12 * max(0.15 - growth, 0),
        Cover.GRASSLAND: 0.3 + 0.5 * dryness,
        Cover.SHRUB: 0.0 + 1.2 * dryness,
        Cover.DECIDUOUS_FOREST: 0.6 - 1.5 * dryness if sheds else -9.0,
        Cover.EVERGREEN_FOREST: 0.3 - 8 * max(0.2 - growth, 0),
        Cover.WETLAND: -1.0 + 3.2 * np.exp(-terrain.above_water / 4) - 2 * dryness - 3 * terrain.slope,
        Cover.SNOW_ICE: 0.9 * (5.5 - climate.temperature.max() - lapse).clip(-9),
    }
    scores = [
        np.asarray(bias) + rng.normal(0, 0.5) + 1.1 * fractal(rng, terrain.water.shape, rng.uniform(40, 80), slope=5)
        for bias in fit.values()
    ]
    return np.array(list(fit))[np.argmax(scores, axis=0)]


def _farmland(
    rng: np.random.Generator, climate: Climate, terrain: Terrain, parcels: Parcels
) -> Bool[np.ndarray, "H W"]:
    """Draw which parcels are fields. Land must be flat enough."""
    share = rng.beta(1.2 + 2 * climate.region.farmland, 1.2 + 2 * (1 - climate.region.farmland))
    share *= min(3 * climate.region.farmland, 1)
    suited = fractal(rng, terrain.water.shape, 80) - 4 * terrain.slope
    if climate.growth.max() < 0.5:
        return np.zeros(suited.shape, bool)
    sums = np.bincount(parcels.number.ravel(), weights=suited.ravel(), minlength=parcels.count)
    suited = (sums / np.bincount(parcels.number.ravel(), minlength=parcels.count))[parcels.number]
    return (suited > np.quantile(suited, 1 - share)) & (terrain.slope < 0.25)


def _parcel_use(rng: np.random.Generator, climate: Climate, parcels: Parcels) -> Int[np.ndarray, "P"]:
    """Draw the use of each parcel: sown, pasture, fallow or wood."""
    leaves = foliage(climate)
    wood = Cover.DECIDUOUS_FOREST if leaves.max() > 0.6 and leaves.min() < 0.5 else Cover.EVERGREEN_FOREST
    uses = [Cover.CROPLAND, Cover.GRASSLAND, Cover.BARE, Cover.SHRUB, wood, Cover.EVERGREEN_FOREST]
    return rng.choice(uses, parcels.count, p=[0.62, 0.16, 0.05, 0.06, 0.06, 0.05])


def _add_buildings(
    rng: np.random.Generator, climate: Climate, parcels: Parcels, landcover: Int[np.ndarray, "H W"]
) -> Int[np.ndarray, "H W"]:
    """Add roads and, at some sites, a settlement with parks."""
    shape = landcover.shape
    settled = climate.growth.max() > 0.45
    built = parcels.road & settled & (rng.random() < 0.7)
    if settled and rng.random() < 0.45:
        town = draw_settlement(rng, shape, size=rng.uniform(8, 30))
        parks = fractal(rng, shape, 10, slope=4) > 1.1
        built |= (town > 0) & ~parks
    return np.where(built, Cover.BUILT_UP, landcover)


def _crop_of_parcels(
    rng: np.random.Generator, year_rng: np.random.Generator, climate: Climate, count: int
) -> Int[np.ndarray, "P"]:
    """Draw 1 + the index in CROPS for every parcel. Each site has its own mix of crops, which rotate over parcels."""
    warmest, coldest = climate.temperature.max(), climate.temperature.min()
    suited = {
        "maize": warmest > 16,
        "cotton": warmest > 24,
        "rice": warmest > 22 and climate.wetness.max() > 0.95,
        "soybeans": warmest > 18,
        "winter wheat": coldest < 14,
        "alfalfa": True,
    }
    weights = np.array([suited[crop.name] for crop in CROPS]) * rng.gamma(0.9, 1, len(CROPS))
    return 1 + year_rng.choice(len(CROPS), count, p=weights / weights.sum())


def _plants(
    rng: np.random.Generator,
    landcover: UInt8[np.ndarray, "H W"],
    crop: UInt8[np.ndarray, "H W"],
    woody: Bool[np.ndarray, "H W"],
) -> tuple[Map, Map]:
    """Draw density and height: stands are sparse or dense, young or old."""
    shape = landcover.shape
    sparse, dense = np.array([DENSITY[cover] for cover in Cover]).T
    low, high = np.array([HEIGHT.get(cover, (0.0, 0.0)) for cover in Cover]).T
    stand = uniform(0.85 * fractal(rng, shape, 28) + 0.5 * fractal(rng, shape, 5, slope=2))
    density = sparse[landcover] + (dense - sparse)[landcover] * stand
    covers = np.array([1.0, *(entry.cover for entry in CROPS)])
    age = uniform(0.8 * fractal(rng, shape, 35) + 0.6 * fractal(rng, shape, 4, slope=2))
    height = low[landcover] + (high - low)[landcover] * age
    height = np.where(woody, 6 + 12 * age, height)
    return (density * covers[crop]).astype(np.float32), height.astype(np.float32)
