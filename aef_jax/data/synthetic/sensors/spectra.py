"""Compute the reflectance of the ground in five bands: blue, green, red, near infrared and 1.6 um."""

import numpy as np
from jaxtyping import Float32

from aef_jax.data.synthetic.world.climate import Climate
from aef_jax.data.synthetic.world.ground import Ground
from aef_jax.data.synthetic.world.legend import NUM_KINDS, Cover
from aef_jax.data.synthetic.world.noise import blend, fractal

Spectrum = tuple[float, float, float, float, float]

BROADLEAF: Spectrum = (0.022, 0.048, 0.024, 0.38, 0.16)
NEEDLES: Spectrum = (0.016, 0.034, 0.020, 0.26, 0.10)
HERB: Spectrum = (0.028, 0.065, 0.034, 0.42, 0.19)
LEAVES: dict[int, Spectrum] = {
    Cover.SHRUB: (0.032, 0.048, 0.046, 0.27, 0.22),
    Cover.DECIDUOUS_FOREST: BROADLEAF,
    Cover.EVERGREEN_FOREST: NEEDLES,
    Cover.WETLAND: (0.022, 0.050, 0.030, 0.33, 0.14),
}
"""Reflectance of plants that hide the ground completely. Kinds that are not listed are herbs."""

SOIL: Spectrum = (0.075, 0.115, 0.155, 0.23, 0.30)
LITTER: Spectrum = (0.040, 0.060, 0.078, 0.16, 0.17)
STRAW: Spectrum = (0.060, 0.095, 0.130, 0.24, 0.28)
ASPHALT: Spectrum = (0.085, 0.095, 0.105, 0.13, 0.14)
ROOF: Spectrum = (0.17, 0.18, 0.20, 0.25, 0.27)
MUD: Spectrum = (0.045, 0.065, 0.080, 0.14, 0.12)
CLEAR_WATER: Spectrum = (0.045, 0.038, 0.022, 0.010, 0.005)
SILT: Spectrum = (0.030, 0.065, 0.080, 0.045, 0.010)
SNOW: Spectrum = (0.86, 0.86, 0.84, 0.72, 0.10)
ICE: Spectrum = (0.55, 0.56, 0.52, 0.36, 0.05)

SOIL_SHARE = {
    Cover.BARE: 1.0,
    Cover.CROPLAND: 0.85,
    Cover.GRASSLAND: 0.4,
    Cover.SHRUB: 0.75,
    Cover.DECIDUOUS_FOREST: 0.1,
    Cover.EVERGREEN_FOREST: 0.15,
}
"""Share of soil, as opposed to straw or litter, between and below plants."""


class Spectra:
    """Maps of five bands of the site with its margin. Every site has its own soils, leaves and waters.

    Args:
        rng: random numbers.
        climate: of the site.
        ground: of the site.
    """

    leaves: Float32[np.ndarray, "5 h w"]
    background: Float32[np.ndarray, "5 h w"]
    water: Float32[np.ndarray, "5 1 1"]
    snow: Float32[np.ndarray, "5 1 1"]
    ice: Float32[np.ndarray, "5 1 1"]

    def __init__(self, rng: np.random.Generator, climate: Climate, ground: Ground):
        def vary(spectrum, common: float, band: float) -> np.ndarray:
            """Vary a spectrum for this site."""
            return np.asarray(spectrum) * np.exp(rng.normal(0, common) + rng.normal(0, band, 5))

        table = np.array([vary(LEAVES.get(kind, HERB), 0.10, 0.06) for kind in range(NUM_KINDS)])
        if climate.temperature.min() > 8:  # without frost, evergreen trees have broad leaves
            table[Cover.EVERGREEN_FOREST] = vary(BROADLEAF, 0.12, 0.07)
        kind, texture = ground.kind, ground.texture
        bright = np.exp(0.10 * texture)
        self.leaves = (np.moveaxis(table[kind], -1, 0) * bright).astype(np.float32)
        soil, straw, litter = vary(SOIL, 0.22, 0.08), vary(STRAW, 0.15, 0.05), vary(LITTER, 0.15, 0.05)
        dead = np.array([litter if cover in _WOODED else straw for cover in Cover])[ground.landcover]
        share = np.array([SOIL_SHARE.get(cover, 0.5) for cover in Cover])[ground.landcover][..., None]
        background = blend(share, soil, dead)
        roofs = (0.5 + 0.35 * fractal(rng, kind.shape, 3, slope=1.5)).clip(0, 1)[..., None]
        built = blend(roofs, vary(ROOF, 0.2, 0.08), vary(ASPHALT, 0.15, 0.05))
        background = np.where((ground.landcover == Cover.BUILT_UP)[..., None], built, background)
        background = np.where((ground.landcover == Cover.WETLAND)[..., None], vary(MUD, 0.2, 0.08), background)
        self.background = (np.moveaxis(background, -1, 0) * np.exp(0.16 * texture)).astype(np.float32)
        water = np.asarray(CLEAR_WATER) + rng.beta(1, 2) * np.asarray(SILT)
        self.water, self.snow, self.ice = (
            np.asarray(spectrum, np.float32)[:, None, None] for spectrum in (vary(water, 0.15, 0.05), SNOW, ICE)
        )


_WOODED = (Cover.SHRUB, Cover.DECIDUOUS_FOREST, Cover.EVERGREEN_FOREST)
