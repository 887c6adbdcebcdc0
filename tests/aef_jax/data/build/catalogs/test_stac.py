"""A STAC catalog gives exactly the frames that it shows of a site."""

from pathlib import Path

import numpy as np
import pytest

from aef_jax.data.build.catalogs.stac_items import orbit_heading
from aef_jax.data.build.config import read_build_config
from aef_jax.data.build.frames.frames import BuildReport
from aef_jax.data.build.site_builder import SiteBuilder
from aef_jax.data.store.site import Site
from tests.support.data.stac import served, write_catalog, write_item
from tests.support.refusals import error_message

pytestmark = pytest.mark.slow

SIDE = 32
ZONE_31, ZONE_32 = "EPSG:32631", "EPSG:32632"
SITE = (ZONE_32, 284_000.0, 5_544_000.0)
"""A corner at 6 degrees east, where zones meet."""
BANDS = ("B02", "B03", "B04", "B08", "B11")
CONFIG = """
support = ["2023-01-01", "2024-01-01"]
[sites]
side = 32
points = "points.csv"
validation = 0
[[source]]
name = "sentinel2"
unit = "sentinel2 dn"
stac = "{stac}"
collection = "s2"
{more}
"""
RAMP = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE)


def bands(base: int, add=0) -> dict[str, np.ndarray]:
    """Return digital numbers: each band has its own level."""
    return {name: (base + 100 * i + add + np.zeros((SIDE, SIDE))).astype(np.uint16) for i, name in enumerate(BANDS)}


def scenes(folder: Path):
    """Return items, and the frames that they are at the site."""
    ramp, all_of = bands(2000, RAMP), dict[str, np.ndarray]
    west_half: all_of = {
        name: np.where(np.arange(SIDE) < 16, values, 0).astype(np.uint16) for name, values in ramp.items()
    }
    wide = {name: np.full((600, 600), 1700 + 100 * i, np.uint16) for i, name in enumerate(BANDS)}
    new, old = {"s2:processing_baseline": "05.09"}, {"s2:processing_baseline": "02.14"}
    first, second = ({**new, "s2:generation_time": time} for time in ("2023-03-01T14:00:00Z", "2024-01-01T00:00:00Z"))
    items = [
        # one pass over both zones, 20 s apart: the second tile fills what the first lacks
        write_item(folder, "t32", "2023-03-01T10:30:00", west_half, SITE, **first),
        write_item(folder, "t31", "2023-03-01T10:30:20", wide, (ZONE_31, 713_000, 5_546_000), **new),
        # of an old baseline, whose numbers have no offset
        write_item(folder, "old", "2023-05-01T10:30:00", bands(300), SITE, **old),
        # processed twice: the later one counts, whatever its name
        write_item(folder, "b", "2023-06-01T10:30:00", bands(4000), SITE, **first),
        write_item(folder, "a", "2023-06-01T10:30:00", bands(5000), SITE, **second),
        # stacks whose bands have another order than the catalog says, or say nothing themselves
        write_item(folder, "s", "2023-07-01T10:30:00", dict(reversed(bands(3000).items())), SITE, stack=True, **new),
        write_item(
            folder, "u", "2023-08-01T10:30:00", dict(reversed(bands(3000).items())), SITE, True, described=False, **new
        ),
        # elsewhere, cloudy, or of another year
        write_item(folder, "far", "2023-09-01T10:30:00", bands(2000), (ZONE_32, 384_000, 5_544_000), **new),
        write_item(folder, "cloudy", "2023-09-02T10:30:00", bands(2000), SITE, **new, **{"eo:cloud_cover": 90}),
        write_item(folder, "late", "2024-01-01T00:00:00", bands(2000), SITE, **new),
    ]
    levels = 100 * np.arange(5)
    first_frame = np.where(np.arange(SIDE)[:, None] < 16, 1000 + levels + RAMP[..., None], 700 + levels)
    flat = [np.broadcast_to(base + levels, (SIDE, SIDE, 5)) for base in (300, 4000, 2000, 2000)]
    return items, np.stack([first_frame, *flat])


def build(folder: Path, stac: str, more: str = "") -> tuple[Site, BuildReport]:
    (folder / "points.csv").write_text("lon,lat\n5.9945,50.0090\n")
    (folder / "build.toml").write_text(CONFIG.format(stac=stac, more=more))
    builder = SiteBuilder(read_build_config(folder / "build.toml"), folder)
    ((plan,), _) = builder.plan()
    plan = plan._replace(crs=SITE[0], transform=(10.0, 0.0, SITE[1], 0.0, -10.0, SITE[2]))
    site, report = builder.build(plan)
    assert site is not None, report.rejects
    return site, report


TIMES = ["2023-03-01T10:30", "2023-05-01T10:30", "2023-06-01T10:30", "2023-07-01T10:30", "2023-08-01T10:30"]
CLEAR = 'query = { "eo:cloud_cover" = { lt = 50 } }'


def assert_frames(site: Site, expected: np.ndarray) -> None:
    series = site.series["sentinel2"]
    assert [str(time)[:16] for time in series.time_ms.astype("datetime64[ms]")] == TIMES
    for frame, of_site in zip(expected, series.pixels, strict=True):
        np.testing.assert_array_equal(of_site, frame)


def test_a_static_catalog_gives_the_expected_frames(tmp_path):
    items, expected = scenes(tmp_path / "cogs")
    for item in items:
        item.properties.setdefault("eo:cloud_cover", 0)
    site, report = build(tmp_path, write_catalog(tmp_path / "catalog", items), CLEAR)
    assert_frames(site, expected)
    assert report.rejects == []
    assert report.dropped == {"sentinel2: outside of the support period": 1}


def test_an_api_is_searched_signed_and_cached(tmp_path):
    items, expected = scenes(tmp_path / "cogs")
    more = f'{CLEAR}\nsign = "tests.support.data.stac:sign"\ncache = "kept"'
    with served(tmp_path / "cogs", items) as (url, requests):
        assert_frames(build(tmp_path, url, more)[0], expected)
        searches = [request for request in requests if request.startswith("POST")]
        assert len(searches) == 3, "the first is tried again; one asks for names, one for the site"
        assert '"datetime": "2023-01-01T00:00:00Z/2024-01-01T00:00:00Z"' in searches[-1]
        assert not [request for request in requests if "far" in request or "cloudy" in request]
        read = [request for request in requests if "/files/old_B02.tif" in request]
        assert read
        assert_frames(build(tmp_path, url, more)[0], expected)
    assert len(list((tmp_path / "kept").glob("*.npy"))) == 4 * 5 + 5 * 2 + 5


def test_a_wrong_catalog_is_one_sentence(tmp_path):
    items, _ = scenes(tmp_path / "cogs")
    refused = pytest.raises(AssertionError, match="HTTP response code: 403")
    with served(tmp_path / "cogs", items) as (url, _), refused:
        build(tmp_path, url)
    (tmp_path / "broken.json").write_text('{"type": "Catalog"')
    assert "broken.json cannot be read: " in error_message(build, tmp_path, str(tmp_path / "broken.json"))
    catalog = write_catalog(tmp_path / "catalog", items, "landsat")
    assert "catalog.json has no item of s2" in error_message(build, tmp_path, catalog)
    refused = error_message(build, tmp_path, catalog, 'sign = "no_such_package:sign"')
    assert "sign is no_such_package:sign, which cannot be imported" in refused


@pytest.mark.parametrize(
    ("state", "latitude", "heading"),
    [("ascending", 0.0, -12.0), ("descending", 0.0, -168.0), ("ascending", 45.0, -14.4), ("descending", -45.0, -165.6)],
)
def test_headings_are_those_of_sentinel1(state, latitude, heading):
    assert orbit_heading(state, latitude) == pytest.approx(heading, abs=0.1)


def test_items_of_sentinel1_have_heading_and_angle(tmp_path):
    backscatter = {name: np.full((SIDE, SIDE), value, np.float32) for name, value in (("vv", 0.1), ("vh", 0.01))}
    facts = {"sat:orbit_state": "ascending", "view:incidence_angle": 38.5}
    item = write_item(tmp_path / "cogs", "s1", "2023-03-01T17:30:00", backscatter, SITE, **facts)
    catalog = write_catalog(tmp_path / "catalog", [item])
    (tmp_path / "points.csv").write_text("lon,lat\n5.9945,50.0090\n")
    text = CONFIG.format(stac=catalog, more='units = { angle = "degrees" }')
    (tmp_path / "build.toml").write_text(text.replace("sentinel2 dn", "power").replace("sentinel2", "sentinel1"))
    builder = SiteBuilder(read_build_config(tmp_path / "build.toml"), tmp_path)
    ((plan,), _) = builder.plan()
    site, _ = builder.build(plan._replace(crs=SITE[0], transform=(10.0, 0.0, SITE[1], 0.0, -10.0, SITE[2])))
    series = site.series["sentinel1"]
    np.testing.assert_allclose(series.pixels[0, 0, 0], [-10, -20, np.nan, np.nan, 38.5], rtol=1e-6)
    np.testing.assert_allclose(series.metadata, [[-15.23, 98.18]], atol=0.01)
