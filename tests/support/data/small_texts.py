"""Sites on grids of both hemispheres, and tables of texts about points in them."""

import csv
from pathlib import Path

from aef_jax.data.store.site import Site, to_ms
from tests.support.data.small_site import small_site

HEADER = ("lon", "lat", "start", "end", "text")
NORTH, SOUTH = ("EPSG:32631", 500_000, 5_600_000), ("EPSG:32723", 610_000, 7_500_000)
YEAR = (to_ms("2016-01-01"), to_ms("2017-01-01"))
WHOLE_YEAR = ("2016-01-01", "2017-01-01")


def site_at(grid: tuple[str, float, float], name: str = "made", support: tuple[int, int] = YEAR) -> Site:
    """Return `small_site` of one year without text, on a grid with a given upper left corner."""
    crs, west, north = grid
    site = small_site().between(*YEAR).shift_time(support[0] - YEAR[0])
    series = {name: series for name, series in site.series.items() if len(series.time_ms)}
    return Site(name, series, crs, (10, 0, west, 0, -10, north), support)


def degrees(grid: tuple[str, float, float], right: float, down: float) -> tuple[float, float]:
    """Return longitude and latitude of a point given in meters from a grid's upper left corner."""
    from pyproj import Transformer

    crs, west, north = grid
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(west + right, north - down)


def write_table(path: Path, rows: list[tuple], header: tuple[str, ...] = HEADER) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def a_table(path: Path) -> Path:
    """Write a text in the north, another there over New Year, one in the south, and one in the sea."""
    rows = [
        (*degrees(NORTH, 55, 35), *WHOLE_YEAR, "a wood"),
        (*degrees(NORTH, 55, 35), "2016-12-15", "2017-01-15", "snow, over New Year"),
        (*degrees(SOUTH, 105, 5), "2016-03-01", "2016-04-01", "a field of soybeans"),
        (0, 0, *WHOLE_YEAR, "the sea"),
    ]
    return write_table(path / "points.csv", rows)
