"""Sites are planned around points, over polygons and over extents, on the grids of UTM."""

import datetime
import json
import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from pyproj import Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info

from aef_jax.data.build.sites.site_plan import SitePlan, sites_of_extent, sites_of_points, sites_of_polygons, utm_crs
from aef_jax.data.store.georeference import validate_crs
from tests.support.data.feature_files import wkb, write_geojson, write_geoparquet, write_parquet
from tests.support.refusals import error_message

YEAR_2020_MS = (1_577_836_800_000, 1_609_459_200_000)
ZONES = {
    (3, 0): 32631,
    (3, -1e-9): 32731,
    (0, 45): 32631,  # Greenwich is a border
    (-1e-9, 45): 32630,
    (6, 50): 32632,
    (-180, 10): 32601,
    (180, 10): 32601,  # the same meridian
    (179.99, -10): 32760,
    (5.3, 60.4): 32632,  # Bergen is in 32V, which begins at 3 degrees
    (2.99, 60.4): 32631,
    (5.3, 55.99): 32631,
    (5.3, 64): 32631,
    (8.9, 78): 32631,  # Svalbard has four zones in place of seven
    (9, 78): 32633,
    (20.9, 78): 32633,
    (21, 78): 32635,
    (33, 78): 32637,
    (41.9, 78): 32637,
    (42, 78): 32638,
    (10, 71.9): 32632,
    (10, 84): 32633,
    (10, 84.01): 32661,
    (10, 90): 32661,
    (10, -80): 32732,
    (10, -80.01): 32761,
}
POINT = {"type": "Point", "coordinates": [3, 50]}


def write_json(path: Path, *geometries: dict) -> Path:
    return write_geojson(path, *((geometry, {}) for geometry in geometries))


def polygon(*corners: tuple[float, float]) -> dict:
    return {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}


def box(west: float, south: float, east: float, north: float) -> dict:
    return polygon((west, south), (east, south), (east, north), (west, north))


def plan_points(tmp_path: Path, text: str, side: int = 128) -> list[SitePlan]:
    (tmp_path / "points.csv").write_text(text)
    return sites_of_points(tmp_path / "points.csv", side)


def test_zone_of_each_place():
    assert {place: int(utm_crs(*place).removeprefix("EPSG:")) for place in ZONES} == ZONES
    for code in ("EPSG:32661", "EPSG:32761"):
        validate_crs("polar", code)


def test_plain_zones_are_those_of_proj():
    zones = {
        (lon, lat): [f"EPSG:{info.code}" for info in query_utm_crs_info("WGS 84", AreaOfInterest(lon, lat, lon, lat))]
        for lon, lat in ((-179, 70), (-1, -79), (44, 60), (177, -3))
    }
    assert {place: [utm_crs(*place)] for place in zones} == zones


def test_place_out_of_range_is_refused():
    assert error_message(utm_crs, 180.1, 0) == "lon is 180.1, expected degrees from -180 to 180"
    assert error_message(utm_crs, 0, -90.1) == "lat is -90.1, expected degrees from -90 to 90"
    assert "lat is nan" in error_message(utm_crs, 0, float("nan"))


def test_sites_are_centered_on_points(tmp_path):
    # on a zone's central meridian the easting is 500 km, and the northing 0.9996 times the arc of the meridian, which
    # is 4,984,944.4 m from the equator to 45 degrees; a pole is at 2,000 km, 2,000 km
    plans = plan_points(tmp_path, "lon,lat\n3,0\n3,45\n3,-45\n0,90\n")
    assert [plan.name for plan in plans] == ["site-00000", "site-00001", "site-00002", "site-00003"]
    assert [plan.crs for plan in plans] == ["EPSG:32631", "EPSG:32631", "EPSG:32731", "EPSG:32661"]
    corners = [(499_360, 640), (499_360, 4_983_590), (499_360, 5_017_690), (1_999_360, 2_000_640)]
    assert [(plan.transform[2], plan.transform[5]) for plan in plans] == corners
    assert plans[0].transform == (10, 0, 499_360, 0, -10, 640)
    assert plans[0].grid.bounds == (499_360, -640, 500_640, 640)
    assert plans[0].center == pytest.approx((3, 0), abs=1e-9)
    assert plans[2].center == pytest.approx((3, -45), abs=1e-4)
    assert (plans[0].side, plans[0].split, plans[0].support) == (128, "", None)
    assert plan_points(tmp_path, "lon,lat\n3,0\n", side=3)[0].grid.bounds == (499_990, -10, 500_020, 20)


def test_centers_of_pixels_give_the_same_side_of_them(tmp_path):
    x = 430_005 + 2730 * np.arange(50)
    lon, lat = Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True).transform(x, np.full(50, 5_500_005))
    rows = (f"{lon},{lat}\n" for lon, lat in zip(lon, lat, strict=True))
    plans = plan_points(tmp_path, f"lon,lat\n{''.join(rows)}")
    assert [plan.transform[2] for plan in plans] == [west - 635 for west in x]
    assert {plan.transform[5] for plan in plans} == {5_500_650}


def test_columns_of_points_are_read(tmp_path):
    text = (
        '\ufeffname,lat, lon,split,lon,start,end\r\n"a, b",45,x,validation, 3 ,2020-01-01,2021-01-01\r\nc,0,,,0,,\r\n'
    )
    first, second = plan_points(tmp_path, text)
    assert first[:2] == ("a, b", "EPSG:32631")
    assert first[4:] == ("validation", YEAR_2020_MS, 1)
    assert (second.name, *second[4:]) == ("c", "", None, 1)


def test_points_of_all_formats_are_the_same_sites(tmp_path):
    values = {"name": "a", "split": "training", "start": "2020-01-01", "end": "2021-01-01", "weight": 0.25}
    table = plan_points(
        tmp_path, f"lon,lat,{','.join(values)}\n3,50,a,training,2020-01-01,2021-01-01,0.25\n3,51,,,,,\n"
    )
    assert [plan.weight for plan in table] == [0.25, 1]
    points = {"type": "Point", "coordinates": [3, 50]}, {"type": "Point", "coordinates": [3, 51, 120.5]}
    columns = {name: [value, None] for name, value in values.items()}
    columns["start"] = [datetime.date(2020, 1, 1), None]
    files = [
        write_geojson(tmp_path / "a.geojson", (points[0], {**values, "lon": 7}), (points[1], {"name": None})),
        write_parquet(tmp_path / "a.parquet", columns | {"lon": [3, 3], "lat": [50, 51]}),
        write_geoparquet(tmp_path / "b.geoparquet", [wkb(POINT), wkb({**POINT, "coordinates": [3, 51]})], columns),
    ]
    assert [sites_of_points(file, 128) for file in files] == [table] * 3


MISTAKES = {
    "no number": ("x3,50,,,,", "row 3: lon is 'x3', expected degrees from -180 to 180"),
    "projected": ("500000,50,,,,", "row 3: lon is '500000', expected degrees"),
    "too few": ("3,50", "row 3: 2 values, expected 6"),
    "too many": ("3,50,,,,,,", "row 3: 8 values, expected 6"),
    "no split": ("3,50,b,test,,", "row 3: its split is 'test', expected training or validation or nothing"),
    "no end": ("3,50,b,,2020-01-01,", "row 3: it has one of start and end, expected both or none"),
    "no date": ("3,50,b,,June,July", "row 3: date 'June' is not a date in ISO 8601, expected as in 2018-01-01"),
    "reversed": ("3,50,b,,2021-01-01,2020-01-01", "row 3: its end (2020-01-01) is not after its start (2021-01-01)"),
    "taken": ("3,50,a,,,", "row 3: its name 'a' is that of an earlier one, expected another"),
    "counted": ("3,50,,,,\n3,51,site-00001,,,", "row 4: its name 'site-00001' is that of an earlier one"),
    "not printable": ("3,50,b\x1b[2J,,,", "row 3: a site is called 'b\\x1b[2J', expected 1 to 200 characters"),
    "open quotes": ('3,50,"b,,,', "row 3: not CSV"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_in_points_names_its_row(tmp_path, mistake):
    row, expected = MISTAKES[mistake]
    said = error_message(plan_points, tmp_path, f"lon,lat,name,split,start,end\n3,50,a,,,\n{row}\n")
    assert said.startswith(f"{tmp_path / 'points.csv'}, {expected}")


def test_file_without_points_is_refused(tmp_path):
    assert "row 1: there is no column 'lat', expected lon, lat" in error_message(plan_points, tmp_path, "lon,x\n3,0")
    assert "it has no point, expected at least one" in error_message(plan_points, tmp_path, "lon,lat\n")
    (tmp_path / "latin.csv").write_bytes("lon,lat,name\n3,50,Hütte\n".encode("latin-1"))
    assert "latin.csv, line 2: not UTF-8" in error_message(sites_of_points, tmp_path / "latin.csv", 128)
    with (tmp_path / "large.csv").open("wb") as file:
        os.truncate(file.fileno(), 2**40)
    assert "large.csv has 1,099,511,627,776 bytes" in error_message(sites_of_points, tmp_path / "large.csv", 128)


WRONG_FEATURES = [
    (3, "it has no geometry that is read here, expected a Point"),
    ({"geometry": box(0, 0, 1, 1)}, "it has no geometry that is read here"),
    ({"geometry": None}, "it has no geometry that is read here"),
    ({"geometry": POINT, "properties": [1]}, "its properties are no JSON object"),
    ({"geometry": {**POINT, "coordinates": [3]}}, "lat is None, expected degrees from -90 to 90"),
    ({"geometry": POINT, "properties": {"name": 5}}, "a site is called 5, expected 1 to 200 characters"),
    ({"geometry": POINT, "properties": {"start": 5, "end": 6}}, "its dates are [5, 6], expected ISO 8601"),
    ({"geometry": POINT, "properties": {"weight": 0}}, "its weight is 0, expected a number from 1e-06 to 1e+06"),
    (
        {"geometry": POINT, "properties": {"weight": "inf"}},
        "its weight is 'inf', expected a number from 1e-06 to 1e+06",
    ),
    ({"geometry": POINT, "properties": {"weight": [1]}}, "its weight is [1], expected a number from 1e-06 to 1e+06"),
    ({"geometry": POINT, "properties": {"split": ["a"]}}, "its split is ['a'], expected training or validation"),
]


@pytest.mark.parametrize(("feature", "expected"), WRONG_FEATURES)
def test_mistake_in_geojson_names_its_feature(tmp_path, feature, expected):
    file = tmp_path / "wrong.geojson"
    good = {"type": "Feature", "geometry": POINT}
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [good, feature]}))
    assert error_message(sites_of_points, file, 128).startswith(f"{file}, feature 2: {expected}")


def test_json_that_is_no_collection_is_refused(tmp_path):
    for text, expected in (
        ("[]", "it has no list of features, expected a GeoJSON FeatureCollection"),
        (json.dumps(POINT), "it has no list of features"),
        ('{"features": []}', "it has no point, expected at least one"),
        ('{"features": [NaN]}', "its JSON cannot be read"),
    ):
        (tmp_path / "wrong.json").write_text(text)
        assert expected in error_message(sites_of_points, tmp_path / "wrong.json", 128)


def names_over(tmp_path: Path, *geometries: dict, side: int = 128) -> list[str]:
    return [plan.name for plan in sites_of_polygons(write_json(tmp_path / "polygons.geojson", *geometries), side)]


def test_tiles_with_their_center_inside_cover_a_polygon(tmp_path):
    # zone 31 at the equator: 111,275 m a degree of longitude from 3 degrees (500 km) on, 110,530 m one of latitude.
    # Centers of tiles of 1,280 m: 498,560, 499,840 and 501,120 m are at 2.9871, 2.9986 and 3.0101; 640 m is at 0.0058
    # and 1,920 m at 0.0174; south of the equator, 9,998,720 m is at -0.0116.
    assert names_over(tmp_path, box(2.99, 0.001, 3.005, 0.012)) == ["32631_499200_1280"]
    assert names_over(tmp_path, box(2.98, 0.001, 3.005, 0.018)) == [
        "32631_497920_1280",
        "32631_497920_2560",
        "32631_499200_1280",
        "32631_499200_2560",
    ]
    assert names_over(tmp_path, box(2.99, -0.012, 3.005, 0.012)) == ["32631_499200_1280", "32731_499200_9999360"]
    (plan,) = sites_of_polygons(write_json(tmp_path / "a.geojson", box(2.99, 0.001, 3.005, 0.012)), 128)
    assert plan == SitePlan("32631_499200_1280", "EPSG:32631", (10, 0, 499_200, 0, -10, 1280), 128)


def test_polygons_side_by_side_share_their_tiles(tmp_path):
    whole, west, east = (box(*ends) for ends in ((9, 46, 9.2, 46.1), (9, 46, 9.07, 46.1), (9.07, 46, 9.2, 46.1)))
    names = names_over(tmp_path, whole)
    assert 90 < len(names) < 120  # 15.5 km * 11.1 km / 1.6384 km2 = 105
    assert names_over(tmp_path, west, east) == names
    assert names_over(tmp_path, whole, west) == names
    both = {"type": "MultiPolygon", "coordinates": [west["coordinates"], east["coordinates"]]}
    assert names_over(tmp_path, both) == names
    hole = {"type": "Polygon", "coordinates": [*whole["coordinates"], *west["coordinates"]]}
    assert names_over(tmp_path, hole) == names_over(tmp_path, east)
    parquet = write_geoparquet(tmp_path / "a.parquet", [wkb(both), wkb(hole)])
    assert [plan.name for plan in sites_of_polygons(parquet, 128)] == names


def test_tiles_have_the_columns_of_their_polygon(tmp_path):
    west, east = box(9, 46, 9.07, 46.1), box(9.07, 46, 9.2, 46.1)
    columns = {"split": "validation", "start": "2020-01-01", "end": "2021-01-01", "weight": 2}
    plans = sites_of_polygons(write_geojson(tmp_path / "a.json", (west, columns), (east, {}), (west, columns)), 128)
    is_west = [plan.center[0] < 9.07 for plan in plans]
    assert 0 < sum(is_west) < len(plans)
    expected = [("validation", YEAR_2020_MS, 2) if west else ("", None, 1) for west in is_west]
    assert [(plan.split, plan.support, plan.weight) for plan in plans] == expected
    other = write_geojson(tmp_path / "b.json", (west, columns), (box(9, 46, 9.2, 46.1), {}))
    message = error_message(sites_of_polygons, other, 128)
    assert "feature 2: its split, start, end, weight differ from those of an earlier one over the same tile" in message


def test_tiles_over_zone_borders_are_those_of_their_zone(tmp_path):
    """Compared with each tile of four zones, whose centers are tried in degrees. Its edges are up to 1,400 km long."""
    corners = [(1.3, 54.2), (22.1, 57.3), (13.7, 65.8)]
    names, extent = [], 25_600
    for code in range(32631, 32635):
        columns, rows = np.meshgrid(np.arange(-10, 50), np.arange(230, 300))
        west, north = columns.ravel() * extent, rows.ravel() * extent
        to_degrees = Transformer.from_crs(f"EPSG:{code}", "EPSG:4326", always_xy=True)
        lon, lat = to_degrees.transform(west + extent / 2, north - extent / 2)
        is_inside = Outline([*corners, corners[0]], closed=True).contains_points(np.stack([lon, lat], -1))
        for index in np.flatnonzero(is_inside):
            if utm_crs(lon[index], lat[index]) == f"EPSG:{code}":
                names.append(f"{code}_{west[index]}_{north[index]}")
    assert {name[:5] for name in names} == {"32631", "32632", "32633", "32634"}
    assert sorted(names_over(tmp_path, polygon(*corners), side=2560)) == sorted(names)


def test_tiles_around_the_pole_and_at_180_degrees(tmp_path):
    # the pole is the center of a tile; 0.1 degree is 11,169 m * 0.994, or 8.67 tiles
    around = sum(i * i + j * j < 8.67**2 for i in range(-9, 10) for j in range(-9, 10))
    plans = sites_of_polygons(write_json(tmp_path / "pole.json", box(-180, 89.9, 180, 90)), 128)
    assert len(plans) == around == 241
    assert {plan.crs for plan in plans} == {"EPSG:32661"}
    fiji = {"type": "MultiPolygon", "coordinates": [box(179.9, -17, 180, -16.9)["coordinates"]]}
    fiji["coordinates"].append(box(-180, -17, -179.9, -16.9)["coordinates"])
    plans = sites_of_polygons(write_json(tmp_path / "fiji.json", fiji), 128)
    assert {plan.crs for plan in plans} == {"EPSG:32760", "EPSG:32701"}
    assert 110 < len(plans) < 170  # 2 * 10.6 km * 11.1 km / 1.6384 km2 = 144


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        (POINT, "feature 1: it has no geometry that is read here, expected a Polygon or MultiPolygon"),
        (box(3, 0, 3.001, 0.001), "no tile of 1280 m has its center in a polygon, expected at least one"),
        (box(179, -17, -179, -16), "feature 1: an edge is longer than 180 degrees, expected a polygon that is cut"),
        (box(500_000, 0, 501_280, 1280), "feature 1: a ring is wrong, expected at least 4 positions [lon, lat]"),
        ({"type": "Polygon", "coordinates": [[[3, 0], [4, 0], [3, 0]]]}, "feature 1: a ring is wrong"),
        ({"type": "Polygon", "coordinates": [[[3, 0], [4, 0], [4, 1], [3]]]}, "feature 1: a ring is wrong"),
        ({"type": "Polygon", "coordinates": [[["3", "0"]] * 4]}, "feature 1: a ring is wrong"),
        ({"type": "Polygon", "coordinates": [3]}, "feature 1: a ring is wrong"),
        ({"type": "Polygon", "coordinates": []}, "feature 1: a polygon has no rings, expected a list of them"),
        ({"type": "MultiPolygon", "coordinates": [3]}, "feature 1: a polygon has no rings"),
        ({"type": "Polygon", "coordinates": [[[-180, -90], [180, 90]] * 800]}, "feature 1: a ring has 1,599 long"),
    ],
)
def test_polygons_that_cannot_be_covered_are_refused(tmp_path, geometry, expected):
    file = write_json(tmp_path / "wrong.geojson", geometry)
    assert error_message(sites_of_polygons, file, 128).startswith(str(file))
    assert expected in error_message(sites_of_polygons, file, 128)


def test_too_small_tiles_for_a_polygon_are_refused(tmp_path):
    file = write_json(tmp_path / "wide.geojson", box(3, 45, 4, 46))
    assert "tiles are around a polygon, expected at most 20,000,000" in error_message(sites_of_polygons, file, 1)
    # 78.1 km * 111.1 km / 0.0081 km2
    assert "feature 1: the ground has 1,071," in error_message(sites_of_polygons, file, 9)


def test_tiles_of_a_projected_extent():
    # 2.57 km x 1.29 km: two tiles of 1.28 km beside each other
    plans = sites_of_extent("EPSG:3035", (4_000_005.0, 3_000_000.0, 4_002_575.0, 3_001_290.0), 128)
    transforms = [(10, 0, west, 0, -10, 3_001_290) for west in (4_000_005, 4_001_285)]
    assert plans == [
        SitePlan("3035_4000005_3001290", "EPSG:3035", transforms[0], 128),
        SitePlan("3035_4001285_3001290", "EPSG:3035", transforms[1], 128),
    ]
    rows = sites_of_extent("EPSG:32631", (500_000, 0, 501_000, 1_999.9999999), 100)
    assert [plan.transform[5] for plan in rows] == pytest.approx([2000, 1000])
    own = "+proj=laea +lat_0=10 +lon_0=20 +ellps=GRS80 +units=m"
    (plan,) = sites_of_extent(own, (0, 0, 160, 160), 16)
    assert (plan.name, plan.crs) == ("tile_0_160", own)


def test_tiles_of_an_extent_in_degrees_are_wholly_inside():
    # 3 degrees +- 0.015 is 500,000 m +- 1,669 m, and 0.0234 degrees are 2,586 m
    plans = sites_of_extent("EPSG:4326", (2.985, -0.001, 3.015, 0.0234), 128)
    assert [plan.name for plan in plans] == ["32631_499200_1280", "32631_499200_2560"]
    assert plans[0] == SitePlan("32631_499200_1280", "EPSG:32631", (10, 0, 499_200, 0, -10, 1280), 128)
    # at 80 degrees, the middle of a tile's northern edge of 8 km is 7 m north of its corners
    north = Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True).transform(500_000, 8_880_000)[1]
    bounds = 2.77, north - 0.075, 3.23
    assert len(sites_of_extent("EPSG:4326", (*bounds, north + 1e-5), 800)) == 1
    assert "expected at least a tile" in error_message(sites_of_extent, "EPSG:4326", (*bounds, north - 3e-5), 800)


@pytest.mark.parametrize(
    ("crs", "bounds", "expected"),
    [
        (
            "EPSG:32631",
            (0, 0, 1279, 12_800),
            "the extent has 127 x 1280 pixels of 10 m, expected at least a tile of 128",
        ),
        ("EPSG:4326", (4, 50, 4.01, 50.01), "the extent has 73 x 112 pixels of 10 m, expected at least a tile of 128"),
        ("EPSG:banana", (0, 0, 1, 1), "the extent's crs is 'EPSG:banana', expected one that PROJ knows"),
        ("EPSG:2263", (0, 0, 9999, 9999), "the extent: its crs 'EPSG:2263' is in the unit US survey foot"),
        ("EPSG:32631", (0, 10, 10, 0), "the extent is (0, 10, 10, 0), expected west below east and south below north"),
        ("EPSG:32631", (0, 0, float("nan"), 0), "the extent is (0, 0, nan, 0), expected west"),
        ("EPSG:32631", (0, 0, 1.3e6, 1.3e7), "the ground has 10,308,340 tiles, expected at most 1,000,000"),
        ("EPSG:4326", (0, 0, 30, 30), "tiles, expected at most 1,000,000"),
        ("EPSG:4326", (0, 0, 360, 30), "tiles, expected at most 1,000,000"),
    ],
)
def test_extent_that_cannot_be_covered_is_refused(crs, bounds, expected):
    assert expected in error_message(sites_of_extent, crs, bounds, 128)
