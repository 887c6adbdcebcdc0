"""Bands match by name: spellings of one name match, other bands and other sensors do not."""

import pytest

from aef_jax.data.build.readers.bands import match_bands
from configs.sources import ERA5_LAND, GEDI, GLO30, LANDSAT, PALSAR2, SENTINEL1, SENTINEL2
from tests.support.refusals import error_message

BELGIUM = ["B05", "B06", "B07", "B8A", "B11", "B12", "SCL", "viewZenithMean"]
WORLDCEREAL = [
    *(f"S2-L2A-B{number:02}" for number in (2, 3, 4, 5, 6, 7, 8, 11, 12)),
    *("S1-SIGMA0-VH", "S1-SIGMA0-VV", "slope", "elevation", "AGERA5-PRECIP", "AGERA5-TMEAN"),
]


@pytest.mark.parametrize("name", ["B2", "B02", "b02", "S2-L2A-B02", "s2_l2a_b2", "SR_B2", " B2 ", "blue", "B002"])
def test_spellings_of_a_sentinel2_band_match(name):
    assert match_bands(SENTINEL2, [name], {}, "file") == {"B2": name}


@pytest.mark.parametrize(
    ("source", "name", "band"),
    [
        (SENTINEL2, "nir", "B8"),
        (SENTINEL2, "swir16", "B11"),
        (LANDSAT, "nir", "B5"),
        (LANDSAT, "nir08", "B5"),
        (LANDSAT, "swir16", "B6"),
        (LANDSAT, "pan", "B8"),
        (LANDSAT, "lwir11", "B10"),
        (LANDSAT, "SR_B2", "B2"),
        (LANDSAT, "ST_B10", "B10"),
        (LANDSAT, "ST-B10", "B10"),
        (SENTINEL1, "vv", "VV"),
        (SENTINEL1, "S1-SIGMA0-VH", "VH"),
        (SENTINEL1, "Gamma0_VV", "VV"),
        (PALSAR2, "linci", "LIN"),
        (GLO30, "DEM", "elevation"),
        (GEDI, "rh098", "rh98"),
        (GEDI, "rh_098", "rh98"),
        (GEDI, "rh_100", "rh100"),
        (GEDI, "RH0", "rh0"),
        (ERA5_LAND, "temperature_2m_mean", "temperature_2m_mean"),
    ],
)
def test_names_of_products_match(source, name, band):
    assert match_bands(source, [name], {}, "file") == {band: name}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (SENTINEL2, "B8A"),
        (SENTINEL2, "nir08"),  # of Sentinel-2 this is B8A
        (SENTINEL2, "band_2"),  # a position
        (SENTINEL2, "2"),
        (SENTINEL2, "B22"),
        (LANDSAT, "S2-L2A-B02"),
        (LANDSAT, "LE07_B2"),  # green
        (SENTINEL1, "VV_angle"),
        (ERA5_LAND, "dewpoint_temperature_mean"),
    ],
)
def test_other_bands_do_not_match(source, name):
    message = error_message(match_bands, source, [name], {}, "file.tif")
    assert message.startswith(f"file.tif: none of the names {name!r} is a band of {source.name}, expected '")
    assert message.endswith(": say what the file calls them in `bands`")


def test_several_sensors_share_a_file():
    optical = {"B2": "S2-L2A-B02", "B3": "S2-L2A-B03", "B4": "S2-L2A-B04", "B8": "S2-L2A-B08", "B11": "S2-L2A-B11"}
    assert match_bands(SENTINEL2, WORLDCEREAL, {}, "file") == optical
    assert match_bands(SENTINEL1, WORLDCEREAL, {}, "file") == {"VV": "S1-SIGMA0-VV", "VH": "S1-SIGMA0-VH"}
    assert match_bands(GLO30, WORLDCEREAL, {}, "file") == {"elevation": "elevation", "slope": "slope"}
    error_message(match_bands, LANDSAT, WORLDCEREAL, {}, "file")


def test_bands_are_in_the_order_of_the_source():
    assert list(match_bands(SENTINEL2, ["B11", "B08", "B03", "B02"], {}, "file")) == ["B2", "B3", "B8", "B11"]


def test_renames_come_first():
    assert match_bands(SENTINEL2, BELGIUM, {"B8": "B8A"}, "file") == {"B8": "B8A", "B11": "B11"}
    swapped = {"B2": "B04", "B4": "B02"}
    assert match_bands(SENTINEL2, ["B02", "B04"], swapped, "file") == swapped
    both = ["B02", "S2-L2A-B02"]
    assert match_bands(SENTINEL2, both, {"B2": "S2-L2A-B02"}, "file") == {"B2": "S2-L2A-B02"}


def test_two_names_of_a_band_are_refused():
    assert error_message(match_bands, SENTINEL2, ["B02", "B03", "S2-L2A-B02"], {}, "cube.nc") == (
        "cube.nc: band B2 of sentinel2 may be 'B02' or 'S2-L2A-B02', expected one name: say which in `bands`"
    )
    assert "band B10 of landsat may be 'B10' or 'ST_B10'" in error_message(
        match_bands, LANDSAT, ["B10", "ST_B10"], {}, "cube.nc"
    )


def test_wrong_renames_are_refused_with_the_nearest():
    assert error_message(match_bands, SENTINEL2, BELGIUM, {"B08": "B8A"}, "cube.nc") == (
        "cube.nc: `bands` has 'B08', which is no band of sentinel2, did you mean B8?"
    )
    assert error_message(match_bands, SENTINEL2, BELGIUM, {"B8": "B8a"}, "cube.nc") == (
        "cube.nc: `bands` says that B8 is 'B8a', which the file does not have, did you mean B8A?"
    )


def test_one_name_is_not_read_twice():
    assert error_message(match_bands, SENTINEL2, ["B03", "B04"], {"B2": "B03"}, "cube.nc") == (
        "cube.nc: bands B2 and B3 are both 'B03', expected a name for each"
    )
    assert error_message(match_bands, SENTINEL2, ["B03", "B04", "B03"], {}, "cube.nc") == (
        "cube.nc: 2 bands are called 'B03', expected one"
    )


def test_names_in_messages_are_bounded_and_printable():
    names = [f"\x1b[2J{number}" + "x" * 500 for number in range(1000)]
    for renames in ({}, {"B2": "\x1b[2J"}, {"\x1b[2J": "B2"}):
        with pytest.raises(ValueError, match="file") as caught:
            match_bands(GEDI if not renames else SENTINEL2, names, renames, "file")
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 2000
    assert "none of the names (none) is a band" in error_message(match_bands, SENTINEL2, [], {}, "file")
