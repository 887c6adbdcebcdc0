"""Features are read from four formats, and files that are damaged, hostile or of another kind are refused."""

import datetime
import struct
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyproj import CRS

from aef_jax.data.places.features import Feature, parse_period, read_features
from tests.support.data.feature_files import wkb, write_geojson, write_geoparquet, write_parquet
from tests.support.refusals import error_message

POINT = {"type": "Point", "coordinates": [3.5, -50.25]}
SQUARE = [[3, 0], [4, 0], [4, 1], [3, 1], [3, 0]]
AREA = {"type": "Polygon", "coordinates": [SQUARE, [[3.1, 0.1], [3.2, 0.1], [3.2, 0.2], [3.1, 0.1]]]}
AREAS = {"type": "MultiPolygon", "coordinates": [AREA["coordinates"], [SQUARE]]}
LAEA = CRS.from_epsg(3035)
"""Its origin is at 10 E, 52 N, and is called 4,321,000, 3,210,000."""
KINDS = ("Point", "Polygon", "MultiPolygon")
DEEP_WKB = struct.pack("<BII", 1, 7, 1) * 200_000 + wkb(POINT)


def read(path: Path, *columns: str, kinds: tuple[str, ...] = KINDS) -> list[Feature]:
    return list(read_features(path, kinds, columns))


def refusal(path: Path, *columns: str) -> str:
    """Return the message without the path, which it must begin with."""
    message = error_message(read, path, *columns)
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def shapes(features: list[Feature]) -> list:
    """Return the geometries with lists in place of arrays."""
    return [
        feature.geometry["coordinates"]
        if feature.geometry["type"] == "Point"
        else [[ring.tolist() for ring in rings] for rings in feature.geometry["coordinates"]]
        for feature in features
    ]


def test_formats_give_the_same_points(tmp_path):
    (tmp_path / "a.CSV").write_text("lat,kind,lon\n-50.25, wood ,3.5\n")
    files = [
        tmp_path / "a.CSV",
        write_geojson(tmp_path / "a.geojson", (POINT, {"kind": "wood", "lon": 7})),
        write_parquet(tmp_path / "a.parquet", {"lon": [3.5], "lat": [-50.25], "kind": ["wood"], "more": [[1]]}),
        write_geoparquet(tmp_path / "a.geoparquet", [wkb(POINT)], {"lon": [7.0], "kind": ["wood"]}),
    ]
    places = ["row 2", "feature 1", "row 1", "row 1"]
    expected = {"type": "Point", "coordinates": (3.5, -50.25)}
    for file, place in zip(files, places, strict=True):
        (feature,) = read_features(file, KINDS, ("kind",), ("absent",))
        assert feature == (place, expected, {"kind": "wood", "absent": None})


def test_formats_give_the_same_polygons(tmp_path):
    whole = [AREA["coordinates"], [SQUARE]]
    json_file = write_geojson(tmp_path / "a.json", (AREA, {}), (AREAS, {}))
    assert shapes(read(json_file)) == [[AREA["coordinates"]], whole]
    assert shapes(read(write_geoparquet(tmp_path / "a.parquet", [wkb(AREA), wkb(AREAS)]))) == shapes(read(json_file))


def test_variants_of_wkb_are_read(tmp_path):
    position = (3.5, -50.25)
    variants = [
        struct.pack(">BI2d", 0, 1, *position),
        struct.pack("<BI3d", 1, 1001, *position, 120),
        struct.pack("<BI3d", 1, 2001, *position, 7),
        struct.pack("<BI4d", 1, 3001, *position, 120, 7),
        struct.pack("<BII3d", 1, 0xA0000001, 4326, *position, 120),  # EWKB with its Z and SRID
    ]
    assert shapes(read(write_geoparquet(tmp_path / "a.parquet", variants))) == [position] * 5
    corners = [[3, 0], [4, 0], [4, 1], [3, 0]]
    rings = [
        struct.pack(f"<BIII{4 * (2 + len(more))}d", 1, code, 1, 4, *(value for xy in corners for value in (*xy, *more)))
        for code, more in ((1003, (9,)), (2003, (7,)), (3003, (9, 7)), (0x80000003, (9,)), (0x40000003, (7,)))
    ]
    assert shapes(read(write_geoparquet(tmp_path / "b.parquet", rings))) == [[[corners]]] * 5


def test_columns_of_parquet_become_python_values(tmp_path):
    instant = datetime.datetime(2020, 6, 1, 10, 30)
    columns = {
        "lon": [3, 3],
        "lat": pyarrow.array([50, 50], pyarrow.float32()),
        "day": [datetime.date(2020, 1, 1), None],
        "instant": pyarrow.array([instant, None], pyarrow.timestamp("ns", "Europe/Brussels")),
        "class": pyarrow.array(["wood", None]).dictionary_encode(),
        "long": pyarrow.array(["wood", None], pyarrow.large_string()),
        "count": pyarrow.array([7, None], pyarrow.uint16()),
    }
    names = [name for name in columns if name not in ("lon", "lat")]
    first, second = read(write_parquet(tmp_path / "a.parquet", columns), *names)
    # 12:30 in Brussels is 10:30 UTC in summer
    assert first.properties["instant"] == "2020-06-01 12:30:00.000000000+0200"
    assert parse_period(*(first.properties[name] for name in ("day", "instant"))) == (
        1_577_836_800_000,
        1_591_007_400_000,
    )
    assert [first.properties[name] for name in ("class", "long", "count")] == ["wood", "wood", 7]
    assert set(second.properties.values()) == {None}


def test_other_systems_are_converted_to_degrees(tmp_path):
    # 500 km is the central meridian of UTM's zone 32, 9 E, and 0.9996 * 4,984,944.4 m its arc from 0 to 45 N
    utm = write_geoparquet(
        tmp_path / "utm.parquet",
        [wkb({"type": "Point", "coordinates": [500_000, 4_982_950.4]})],
        crs=CRS.from_epsg(32632).to_json_dict(),
    )
    assert shapes(read(utm))[0] == pytest.approx((9, 45), abs=1e-6)
    origin = {"type": "Point", "coordinates": [4_321_000, 3_210_000]}
    geojson = write_geojson(tmp_path / "laea.geojson", (origin, {}), crs="urn:ogc:def:crs:EPSG::3035")
    assert shapes(read(geojson))[0] == pytest.approx((10, 52), abs=1e-9)
    same = write_geojson(tmp_path / "same.geojson", (POINT, {}), crs="urn:ogc:def:crs:OGC:1.3:CRS84")
    assert shapes(read(same)) == [(3.5, -50.25)]


def test_edges_stay_straight_in_their_own_system(tmp_path):
    west, south, east, north = 3_821_000, 3_210_000, 4_821_000, 3_310_000
    ring = [[west, south], [east, south], [east, north], [west, south]]
    file = write_geoparquet(
        tmp_path / "a.parquet", [wkb({"type": "Polygon", "coordinates": [ring]})], crs=LAEA.to_json_dict()
    )
    corners = np.array(shapes(read(file))[0][0][0])
    # the south edge passes the origin, half way; between its ends, straight in degrees, it would be at 51.8 N
    assert np.abs(corners - [10, 52]).max(axis=1).min() < 1e-9
    assert len(corners) == 1 + 1000 + 100 + 1000


def test_rows_with_the_same_text_share_it(tmp_path):
    """A dictionary of Parquet repeats a text in a few bits a row: copies would take more memory than any machine's."""
    columns = {"lon": [3.0] * 1000, "lat": [50.0] * 1000, "text": ["a wood"] * 1000}
    shared = {
        id(feature.properties["text"]) for feature in read(write_parquet(tmp_path / "a.parquet", columns), "text")
    }
    assert len(shared) == 1


WRONG_PARQUET = {
    "nested": ({"lon": [3.0], "lat": [50.0], "kind": [[1]]}, ": column 'kind' holds list<element: int64>, expected"),
    "absent": ({"lon": [3.0], "lat": [50.0]}, ": there is no column 'kind', expected lon, lat, kind"),
    "no place": ({"x": [3.0], "lat": [50.0], "kind": [1]}, ": there is no column 'lon', expected lon, lat, kind"),
    "no value": ({"lon": [3.0, None], "lat": [50.0, 50.0], "kind": [1, 2]}, ", row 2: lon is None, expected degrees"),
    "not finite": ({"lon": [np.nan], "lat": [50.0], "kind": [1]}, ", row 1: lon is nan, expected degrees"),
}


@pytest.mark.parametrize("mistake", WRONG_PARQUET)
def test_mistakes_in_parquet_are_refused(tmp_path, mistake):
    columns, expected = WRONG_PARQUET[mistake]
    assert refusal(write_parquet(tmp_path / "a.parquet", columns), "kind").startswith(expected)


def test_parquet_that_is_damaged_or_too_large_is_refused(tmp_path):
    file = tmp_path / "a.parquet"
    whole = write_parquet(file, {"lon": np.arange(99.0), "lat": np.zeros(99)}).read_bytes()
    for damaged in (b"", b"PAR1", whole[:-30], whole[:200], whole[:8] + bytes(300) + whole[308:]):
        file.write_bytes(damaged)
        assert refusal(file).startswith(": its Parquet cannot be read: ")
    write_parquet(file, {"lon": np.zeros(10_000_001, np.int8), "lat": np.zeros(10_000_001, np.int8)})
    assert refusal(file) == " has 10,000,001 rows, expected at most 10,000,000"
    with file.open("wb") as hollow:
        hollow.truncate(2**40)
    assert refusal(file) == " has 1,099,511,627,776 bytes, expected at most 1,073,741,824"


WRONG_WKB = {
    "none": (None, "it has no geometry that is read here, expected a Point or Polygon or MultiPolygon"),
    "line": (struct.pack("<BII4d", 1, 2, 2, 3, 0, 4, 0), "it has no geometry that is read here"),
    "deep": (DEEP_WKB, "it has no geometry that is read here"),
    "deep parts": (struct.pack("<BII", 1, 6, 1) * 200_000 + wkb(AREA), "its geometry is damaged, expected WKB"),
    "empty": (b"", "its geometry is damaged, expected WKB"),
    "short": (wkb(AREA)[:-1], "its geometry is damaged, expected WKB"),
    "many rings": (struct.pack("<BIII", 1, 3, 2**32 - 1, 2**32 - 1), "its geometry is damaged, expected WKB"),
    "no rings": (struct.pack("<BII", 1, 3, 0), "a polygon has no rings, expected a list of them"),
    "no parts": (struct.pack("<BII", 1, 6, 0), "a MultiPolygon is empty, expected at least one polygon"),
    "no number": (struct.pack("<BI2d", 1, 1, np.nan, np.nan), "lon is nan, expected degrees from -180 to 180"),
}


@pytest.mark.parametrize("mistake", WRONG_WKB)
def test_damaged_wkb_is_refused(tmp_path, mistake):
    data, expected = WRONG_WKB[mistake]
    file = write_geoparquet(tmp_path / "a.parquet", [wkb(POINT), data])
    assert refusal(file).startswith(f", row 2: {expected}")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"encoding": "point"}, ", column shape: its encoding is 'point', expected WKB"),
        ({"crs": None}, ", column shape: its crs is unknown, expected one in PROJJSON"),
        ({"crs": {"type": "GeographicCRS"}}, ", column shape: its crs is {'type': 'GeographicCRS'}, expected one that"),
    ],
)
def test_metadata_that_say_no_place_are_refused(tmp_path, entries, expected):
    assert refusal(write_geoparquet(tmp_path / "a.parquet", [wkb(POINT)], **entries)).startswith(expected)


def test_metadata_of_another_form_are_refused(tmp_path):
    table = pyarrow.table({"shape": ["POINT (3 50)"]})
    for geo, expected in (
        ("{", ": metadata geo: its JSON cannot be read"),
        ("[]", ": its metadata geo name no primary column, expected GeoParquet 1.0 or 1.1"),
        ('{"primary_column": "x", "columns": {"x": {"encoding": "WKB"}}}', ": there is no column 'x' of bytes"),
        ('{"primary_column": "shape", "columns": {"shape": {"encoding": "WKB"}}}', ": there is no column 'shape' of"),
    ):
        pyarrow.parquet.write_table(table.replace_schema_metadata({"geo": geo}), tmp_path / "a.parquet")
        assert refusal(tmp_path / "a.parquet").startswith(expected)


def test_positions_of_no_numbers_in_another_system_are_refused(tmp_path):
    file = tmp_path / "a.geojson"
    for coordinates in (["a", "b"], [1], [None, 3]):
        write_geojson(file, ({"type": "Point", "coordinates": coordinates}, {}), crs="EPSG:3035")
        assert refusal(file).startswith(", feature 1: its position is")
    write_geojson(
        file, ({"type": "Polygon", "coordinates": [[[0, 0], [1e30, 0], [0, 1], [0, 0]]]}, {}), crs="EPSG:3035"
    )
    assert refusal(file).startswith(", feature 1: a ring has 3 long edges, expected a simpler polygon")
    assert "expected one that PROJ knows" in refusal(write_geojson(file, (POINT, {}), crs="EPSG:banana"))
    file.write_text('{"features": [], "crs": 3035}')
    assert refusal(file) == ": its crs is 3035, expected none or one by its name"


def test_files_of_other_kinds_are_refused(tmp_path):
    assert refusal(tmp_path / "a.gpkg").startswith(": its name has another suffix than .csv, .json, .geojson")
    file = write_geojson(tmp_path / "a.geojson", (POINT, {"kind": 1}), (POINT, {}))
    assert refusal(file, "kind") == ", feature 2: it has no property 'kind', expected kind"


def test_parquet_without_pyarrow_names_the_package(tmp_path, monkeypatch):
    file = write_parquet(tmp_path / "a.parquet", {"lon": [3.0], "lat": [50.0]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = error_message(read, file, error=ModuleNotFoundError)
    assert message == f"{file} is Parquet, which needs the package pyarrow: install aef[build]"


@pytest.mark.slow
def test_no_damaged_byte_of_parquet_does_more_than_a_refusal(tmp_path):
    file = write_geoparquet(tmp_path / "a.parquet", [wkb(AREA)] * 4, {"kind": ["a", "b", "a", "b"]})
    whole = file.read_bytes()
    pages = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")  # the rest is metadata
    messages = []
    for position in [*range(pages), *range(pages, len(whole), 20)]:
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            assert len(read(file, "kind")) <= 4
        except ValueError as error:
            messages.append(str(error))
    assert messages
    assert all(message.startswith(str(file)) for message in messages)
