"""Make one site of the procedural planet: a pure function of (seed, index, side, year).

The planet is a test bench: all of it is invented. It serves to run and to test the whole pipeline with sources that no
package ships, and with a known truth. Scores on it say nothing about the Earth and must never be presented as real. All
missions fly in every year: the planet has no launch dates.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from aef_jax.data.store.site import Series, Site
from aef_jax.data.synthetic.sensors import maps, monthly, optical, radar
from aef_jax.data.synthetic.sensors.sky import Sky
from aef_jax.data.synthetic.sensors.spectra import Spectra
from aef_jax.data.synthetic.texts import TextRow, draw_texts
from aef_jax.data.synthetic.world.climate import Climate, draw_climate
from aef_jax.data.synthetic.world.grid import canvas, inner
from aef_jax.data.synthetic.world.ground import draw_ground
from aef_jax.data.synthetic.world.orbits import Calendar
from aef_jax.data.synthetic.world.surface import Surface
from aef_jax.data.synthetic.world.utm import FALSE_EASTING, FALSE_NORTHING, approximate_northing, epsg_code, utm_zone
from aef_jax.data.synthetic.world.weather import draw_weather

YEARS = (2017, 2023)
"""First and last year that sites are drawn from."""
# each has its own stream of random numbers, so that a change to one does not change the others
PLACE, GROUND, LOOK, YEAR, CROPS, WEATHER, TEXT = range(7)
SOURCE_STREAMS = 100


@dataclass(frozen=True)
class PlanetSite:
    """An invented site and the truth about it. Scores on it must never be presented as real (see the module)."""

    site: Site
    landcover: UInt8[np.ndarray, "H W"]
    """Values of `legend.Cover`."""
    crop: UInt8[np.ndarray, "H W"]
    """The year's crop: 1 + its index in `legend.CROPS`, or 0 for none."""
    climate: Climate
    texts: list[TextRow]


def planet_site(seed: int, index: int, side: int = 128, year: int | None = None) -> PlanetSite:
    """Make a site over one calendar year. Sites are independent of each other.

    The result is the same to the bit every time, whatever the number of threads. On another kind of processor, whose
    BLAS sums in another order, the last bit may differ.

    Args:
        seed: of the planet.
        index: of the site.
        side: pixels of 10 m along each side. Another side gives another ground in the same climate.
        year: the calendar year; None for a year drawn for the site. Another year gives the same ground with other
            weather, other crops and other passes.

    Returns:
        The site and its truth.

    Raises:
        ValueError: if `side` is below 16.
    """
    if side < 16:
        raise ValueError(f"side is {side}, expected at least 16 pixels")
    own_year = int(_stream(seed, index, YEAR).integers(YEARS[0], YEARS[1] + 1))
    calendar = Calendar(own_year if year is None else year)
    climate = draw_climate(_stream(seed, index, PLACE))
    ground = draw_ground(
        _stream(seed, index, GROUND), _stream(seed, index, CROPS, calendar.year), climate, canvas(side)
    )
    weather = draw_weather(_stream(seed, index, WEATHER, calendar.year), climate)
    look = _stream(seed, index, LOOK)
    surface = Surface(look, climate, ground, weather)
    spectra = Spectra(look, climate, ground)
    zone, corner = _grid(look, climate, side)
    series = _series(seed, index, surface, spectra, calendar, side)
    site = Site(
        f"planet-{seed}-{index:05d}",
        series,
        epsg_code(zone, climate.latitude < 0),
        (10.0, 0.0, corner[0], 0.0, -10.0, corner[1]),
        calendar.support,
    )
    texts = draw_texts(_stream(seed, index, TEXT, calendar.year), climate, ground, calendar, corner, zone)
    return PlanetSite(site, inner(ground.landcover), inner(ground.crop), climate, texts)


def _series(
    seed: int, index: int, surface: Surface, spectra: Spectra, calendar: Calendar, side: int
) -> dict[str, Series]:
    streams = (_stream(seed, index, SOURCE_STREAMS + i, calendar.year) for i in range(10))
    ground, climate = surface.ground, surface.climate
    sky = Sky(next(streams), surface, spectra, calendar)
    return {
        "sentinel2": optical.sentinel2(next(streams), sky, side),
        "landsat": optical.landsat(next(streams), sky, side),
        "sentinel1": radar.sentinel1(next(streams), surface, calendar, side),
        "palsar2": radar.palsar2(next(streams), surface, calendar, side),
        "era5_land": monthly.era5_land(next(streams), surface, calendar, side),
        "gedi": monthly.gedi(next(streams), surface, calendar, side),
        "grace": monthly.grace(next(streams), surface, calendar, side),
        "glo30": maps.glo30(next(streams), ground, calendar, side),
        "nlcd": maps.nlcd(ground, climate, calendar, side),
        "cdl": maps.cdl(ground, climate, calendar, side),
    }


def _stream(*key: int) -> np.random.Generator:
    return np.random.default_rng(key)


def _grid(rng: np.random.Generator, climate: Climate, side: int) -> tuple[int, tuple[float, float]]:
    """Return the UTM zone, and easting and northing of the upper left corner on the zone's 10 m grid."""
    zone = utm_zone(climate.longitude)
    off_meridian = np.deg2rad(climate.longitude - (zone * 6 - 183)) * np.cos(np.deg2rad(climate.latitude))
    easting = FALSE_EASTING + 6_378_137 * off_meridian
    northing = approximate_northing(climate.latitude) + (FALSE_NORTHING if climate.latitude < 0 else 0)
    return zone, (10.0 * round(easting / 10 - side / 2), 10.0 * round(northing / 10 + side / 2))
