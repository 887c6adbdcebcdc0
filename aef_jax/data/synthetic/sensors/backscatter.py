"""Compute the radar backscatter of the ground at C band (5.5 cm) and L band (24 cm)."""

import numpy as np
from jaxtyping import Float32

from aef_jax.data.synthetic.world.ground import Ground
from aef_jax.data.synthetic.world.legend import NUM_KINDS, Cover, crop_kind
from aef_jax.data.synthetic.world.noise import fractal
from aef_jax.data.synthetic.world.surface import State

Map = Float32[np.ndarray, "h w"]

# decibels of each kind: co- and cross-polarized without green, and what full green adds to each
C_BAND = {
    Cover.WATER: (-20.0, -28.0, 0.0, 0.0),
    Cover.BUILT_UP: (-6.5, -14.5, 0.0, 0.0),
    Cover.BARE: (-14.0, -22.5, 1.0, 2.0),
    Cover.GRASSLAND: (-14.5, -22.0, 2.0, 3.0),
    Cover.SHRUB: (-12.8, -19.5, 1.5, 2.0),
    Cover.DECIDUOUS_FOREST: (-9.8, -15.6, -0.8, -0.6),
    Cover.EVERGREEN_FOREST: (-10.2, -15.9, 0.0, 0.0),
    Cover.WETLAND: (-13.0, -20.0, 1.5, 2.0),
    Cover.SNOW_ICE: (-11.0, -18.0, 0.0, 0.0),
    crop_kind(0): (-13.0, -21.0, 3.5, 6.0),
    crop_kind(1): (-13.0, -21.0, 2.5, 4.5),
    crop_kind(2): (-13.0, -21.0, 3.5, 4.0),
    crop_kind(3): (-13.0, -21.0, 3.0, 5.5),
    crop_kind(4): (-13.0, -21.0, -3.0, 1.5),
    crop_kind(5): (-13.0, -20.5, 1.5, 3.5),
}
L_BAND = {
    Cover.WATER: (-23.0, -31.0, 0.0, 0.0),
    Cover.BUILT_UP: (-5.0, -15.0, 0.0, 0.0),
    Cover.BARE: (-18.0, -28.0, 0.5, 1.0),
    Cover.GRASSLAND: (-16.5, -26.0, 1.0, 2.0),
    Cover.SHRUB: (-13.0, -20.5, 0.5, 1.0),
    Cover.DECIDUOUS_FOREST: (-9.0, -14.5, 0.3, 0.4),
    Cover.EVERGREEN_FOREST: (-9.0, -14.5, 0.0, 0.0),
    Cover.WETLAND: (-14.0, -22.0, 1.0, 2.0),
    Cover.SNOW_ICE: (-14.0, -24.0, 0.0, 0.0),
    **{crop_kind(crop): (-15.0, -24.0, 3.0, 5.0) for crop in range(NUM_KINDS - crop_kind(0))},
}
OPEN_WATER = {"C": (-20.0, -28.0), "L": (-23.0, -31.0)}
FLOOR = {"C": 10**-2.75, "L": 10**-3.1}
"""Power of the receiver's noise."""
TREE_METERS = {"C": 60.0, "L": 12.0}
"""Height scale, in meters, of the growth of the signal with trees; L band sees more of the wood."""


class Backscatter:
    """Backscatter of one site at one band. Each site has its own roughness.

    Args:
        rng: random numbers.
        ground: of the site.
        band: "C" or "L".
    """

    def __init__(self, rng: np.random.Generator, ground: Ground, band: str):
        self.ground, self.band = ground, band
        table = C_BAND if band == "C" else L_BAND
        rows = np.array([table.get(kind, table[Cover.BARE]) for kind in range(NUM_KINDS)], np.float32)
        rows[:, :2] += rng.normal(0, 0.6, (NUM_KINDS, 1)) + rng.normal(0, 0.4, (NUM_KINDS, 2))
        maps = rows[ground.kind]
        rough = rng.normal(0, 1.0, ground.parcels.count)[ground.parcels.number]
        rough = np.where(ground.farmed, rough, fractal(rng, ground.kind.shape, 25))
        built = ground.landcover == Cover.BUILT_UP
        walls = 3.5 * fractal(rng, ground.kind.shape, 3, slope=1.5)
        self.roughness = (0.9 * rough * (ground.landcover != Cover.WATER) + built * walls).astype(np.float32)
        wooded = (ground.height > 5) & ~built
        self.wood = (4.3 * np.log1p(ground.height / TREE_METERS[band]) * wooded).astype(np.float32)
        self.wood -= wooded * np.float32(4.3 * np.log1p(18 / TREE_METERS[band]))  # the table is for trees of 18 m
        self.wood += (ground.woody * 4).astype(np.float32)
        self.base, self.added = maps[..., :2], maps[..., 2:]

    def power(self, state: State, cross: bool, wind: float) -> Map:
        """Compute the expected power at an incidence angle of 38 degrees.

        Args:
            state: of the ground.
            cross: cross-polarized instead of co-polarized.
            wind: decibels that it adds to open water.

        Returns:
            Linear power at each pixel.
        """
        pol = int(cross)
        level = self.base[..., pol] + self.added[..., pol] * state.leaf + self.roughness + self.wood
        level += 5 * (state.moisture - 0.6) * (1 - 0.7 * state.green) * (state.snow < 0.5)
        if state.temperature < -1:
            level -= 1.8 * min((-1 - state.temperature) / 4, 1)
        level -= (4.5 if cross else 3.5) * state.wet_snow * state.snow
        standing = self.ground.density * (self.ground.landcover == Cover.WETLAND)
        stems = (
            1.0 if cross else 4.0 if self.band == "C" else 6.0
        ) * standing  # reflected by the water and then by the stems
        flooded = np.maximum(level + stems, OPEN_WATER[self.band][pol] + wind)
        bare_water = OPEN_WATER[self.band][pol] + wind * (0.5 if cross else 1)
        hidden = np.maximum(standing, state.green)
        wet = np.where(hidden > 0.45, flooded, bare_water)
        level = level + state.flooded * (wet - level)
        return 10 ** (level / 10) + np.float32(FLOOR[self.band])
