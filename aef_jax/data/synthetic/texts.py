"""Draw sentences about points of a site, in the style of an encyclopedia's article or a naturalist's record."""

from datetime import date, timedelta
from typing import NamedTuple

import numpy as np

from aef_jax.data.synthetic.world.climate import Climate
from aef_jax.data.synthetic.world.grid import inner
from aef_jax.data.synthetic.world.ground import Ground
from aef_jax.data.synthetic.world.legend import CROPS, Cover
from aef_jax.data.synthetic.world.orbits import Calendar
from aef_jax.data.synthetic.world.utm import to_degrees

SPECIES = {
    Cover.WATER: ("mallard (Anas platyrhynchos)", "grey heron (Ardea cinerea)", "common pondweed (Potamogeton natans)"),
    Cover.BUILT_UP: ("house sparrow (Passer domesticus)", "rock dove (Columba livia)", "dandelion (Taraxacum)"),
    Cover.BARE: ("crested lark (Galerida cristata)", "stonecrop (Sedum acre)", "wheatear (Oenanthe oenanthe)"),
    Cover.CROPLAND: ("skylark (Alauda arvensis)", "common poppy (Papaver rhoeas)", "brown hare (Lepus europaeus)"),
    Cover.GRASSLAND: ("meadow pipit (Anthus pratensis)", "red fescue (Festuca rubra)", "meadow grasshopper"),
    Cover.SHRUB: ("juniper (Juniperus communis)", "shrike (Lanius collurio)", "heather (Calluna vulgaris)"),
    Cover.DECIDUOUS_FOREST: ("oak (Quercus)", "beech (Fagus)", "great spotted woodpecker (Dendrocopos major)"),
    Cover.EVERGREEN_FOREST: ("pine (Pinus)", "spruce (Picea)", "crossbill (Loxia curvirostra)"),
    Cover.WETLAND: ("common reed (Phragmites australis)", "marsh harrier (Circus aeruginosus)", "sedge (Carex)"),
    Cover.SNOW_ICE: ("snow bunting (Plectrophenax nivalis)", "snow algae (Chlamydomonas nivalis)", "glacier flea"),
}
PHRASE = {
    Cover.WATER: ("open water", "a stretch of water"),
    Cover.BUILT_UP: ("a built-up area of houses and roads", "a settlement"),
    Cover.BARE: ("bare ground", "stony ground with hardly any plants"),
    Cover.CROPLAND: ("farmland", "cultivated fields"),
    Cover.GRASSLAND: ("grassland", "open meadows"),
    Cover.SHRUB: ("shrubland", "scrub"),
    Cover.DECIDUOUS_FOREST: ("deciduous forest", "a forest of broad-leaved trees that shed their leaves"),
    Cover.EVERGREEN_FOREST: ("evergreen forest", "a dense evergreen wood"),
    Cover.WETLAND: ("a marsh", "wetland that floods seasonally"),
    Cover.SNOW_ICE: ("permanent snow and ice", "a glacier"),
}


class TextRow(NamedTuple):
    """One sentence that is true at a point (degrees) in [start, end) (dates in ISO 8601)."""

    longitude: float
    latitude: float
    start: str
    end: str
    text: str


def draw_texts(
    rng: np.random.Generator,
    climate: Climate,
    ground: Ground,
    calendar: Calendar,
    corner: tuple[float, float],
    zone: int,
) -> list[TextRow]:
    """Draw 3 to 8 sentences about random points of a site.

    Args:
        rng: random numbers.
        climate: of the site.
        ground: of the site.
        calendar: of the year.
        corner: easting and northing of the grid's upper left corner.
        zone: UTM zone.

    Returns:
        The sentences.
    """
    landcover, crop, slope, elevation = (
        inner(m) for m in (ground.landcover, ground.crop, ground.terrain.slope, ground.terrain.elevation)
    )
    points = rng.integers(len(landcover), size=(rng.integers(3, 9), 2))
    eastings, northings = corner[0] + 10.0 * points[:, 1] + 5, corner[1] - 10.0 * points[:, 0] - 5
    longitudes, latitudes = to_degrees(eastings, northings, zone, climate.latitude < 0)
    rows = []
    for (row, column), longitude, latitude in zip(points, longitudes, latitudes, strict=True):
        cover = Cover(landcover[row, column])
        around = landcover[max(row - 10, 0) : row + 11, max(column - 10, 0) : column + 11]
        grown = CROPS[crop[row, column] - 1].name if crop[row, column] else None
        if rng.random() < 0.4:
            text, (start, end) = _sighting(rng, cover, grown, calendar.year)
        else:
            text = _article(
                rng, climate, cover, grown, around, float(slope[row, column]), float(elevation[row, column])
            )
            start, end = f"{calendar.year}-01-01", f"{calendar.year + 1}-01-01"
        rows.append(TextRow(float(longitude), float(latitude), start, end, text))
    return rows


def _article(rng, climate: Climate, cover: Cover, crop: str | None, around, slope: float, elevation: float) -> str:
    """Draw sentences on land cover, surroundings, terrain and climate."""
    land = f"fields of {crop}" if crop else str(rng.choice(PHRASE[cover]))
    counts = np.bincount(around.ravel(), minlength=len(Cover))
    counts[cover] = 0
    beside = f", surrounded by {PHRASE[Cover(int(counts.argmax()))][0]}" if counts.max() > 40 else ""
    lie = "flat" if slope < 0.04 else "gently sloping" if slope < 0.15 else "steep"
    coldest, warmest = climate.temperature.min(), climate.temperature.max()
    winters = "frosty winters" if coldest < -3 else "cool winters" if coldest < 8 else "no cold season"
    rain = "dry" if climate.wetness.mean() < 0.7 else "moist"
    opening = str(rng.choice(["The place is", "This part of the region is", "The site consists of"]))
    return (
        f"{opening} {land}{beside}, on {lie} land {elevation:.0f} metres above sea level. The climate is {rain}, with"
        f" {winters}; the warmest days average {warmest:.0f} degrees."
    )


def _sighting(rng, cover: Cover, crop: str | None, year: int) -> tuple[str, tuple[str, str]]:
    """Draw a record of a species that is true for 30 days."""
    day = date(year, 1, 1) + timedelta(days=int(rng.integers(330)))
    where = f"a field of {crop}" if crop else str(rng.choice(PHRASE[cover]))
    verb = str(rng.choice(["Observation of", "Human observation:", "Record of"]))
    text = f"{verb} {rng.choice(SPECIES[cover])} in {where}, {day:%B %Y}."
    return text, (day.isoformat(), (day + timedelta(days=30)).isoformat())
