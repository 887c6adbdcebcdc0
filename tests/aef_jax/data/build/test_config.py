"""A config of `aef data build` is checked whole before a file is opened."""

import pytest

from aef_jax.data.build.config import EXAMPLE, read_build_config
from tests.support.refusals import error_message

SMALL = """
support = ["2023-01-01", "2024-01-01"]
[sites]
points = "points.csv"
[[source]]
name = "sentinel2"
files = ["*.tif"]
unit = "reflectance"
"""


def read(folder, text):
    path = folder / "build.toml"
    path.write_text(text)
    return read_build_config(path)


def test_the_example_is_a_config():
    config = read_build_config(EXAMPLE)
    assert [source.name for source in config.sources] == ["sentinel2", "sentinel1"]
    assert config.source[1].units == {"angle": "degrees"}
    assert [(labels.name, labels.ignore) for labels in config.labels] == [("landcover", (0,))]


def test_what_is_left_out_has_its_default(tmp_path):
    config = read(tmp_path, SMALL)
    assert (config.sites.side, config.sites.min_distance_m, config.labels) == (128, 1280.0, ())
    assert config.source[0].bands == {}


def test_mixed_levels_are_all_named(tmp_path):
    entry = "[[source]]\nname = 'sentinel2'\nfiles = ['a.tif']\nunit = 'reflectance'\nlevel = 'L2A'\n"
    assert read(tmp_path, SMALL + "level = 'L2A'\n" + entry).levels == {"sentinel2": "L2A"}
    mixed = "mixed_levels = true\n" + SMALL + entry
    assert read(tmp_path, mixed).levels == {"sentinel2": "L2A, unknown"}
    assert read(tmp_path, mixed.replace("L2A", "TOA") + entry.replace("L2A", "L1C")).levels == {
        "sentinel2": "L1C, TOA, unknown"
    }
    assert read(tmp_path, SMALL).levels == {"sentinel2": ""}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("unit =", "units = 3\nunit =", "the config.source[0].units is 3, expected a table"),
        ("unit =", "unti =", "did you mean unit?"),
        ('"sentinel2"', '"sentinel3"', "there is no 'sentinel3'; did you mean sentinel2?"),
        ("[sites]", "[sites]\nside = 100", "side"),
        ('points = "points.csv"', "", "sites: nothing is given, expected one of points, polygons, extent_of"),
        ('points = "points.csv"', 'extent_of = "landsat"', "no source of this config"),
        ('"2024-01-01"', '"2022-01-01"', "support: it ends at 2022-01-01, before it starts at 2023-01-01"),
        ('"2024-01-01"', '"banana"', "date 'banana' is not a date"),
        ("files =", "bands = { B99 = 'x' }\nfiles =", "bands names 'B99', no part of it"),
        ("[sites]", "[sites", "is no TOML"),
        ('["*.tif"]', "[]", "expected files or stac"),
        (
            "[[source]]",
            "[[source]]\nname = 'sentinel2'\nfiles = ['a.tif']\nunit = 'reflectance'\nlevel = 'L1C'\n[[source]]",
            "source sentinel2: its entries have the levels ['', 'L1C'], expected one, or mixed_levels = true",
        ),
        ("[sites]", "[[labels]]\nfiles = ['a.tif']\n" * 2 + "[sites]", "expected a name of its own for each"),
    ],
)
def test_a_wrong_setting_is_told_with_its_place(tmp_path, old, new, message):
    refused = error_message(read, tmp_path, SMALL.replace(old, new))
    assert refused.startswith(f"{tmp_path / 'build.toml'}")
    assert message in refused
