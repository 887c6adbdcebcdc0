"""Quality bands: the numbers that the products' guides call clear are clear, and clouds grow but no data does not."""

import numpy as np
import pytest

from aef_jax.data.build.frames.masks import MASK_KINDS, clear_sky, kind_of_mask
from tests.support.refusals import error_message


def clear(kind: str, *numbers: float) -> list[bool]:
    return clear_sky(kind, np.array([numbers], np.float32))[0].tolist()


def test_scene_classes():
    classes = np.arange(13, dtype=np.uint8)[None]
    assert np.flatnonzero(clear_sky("scl", classes)).tolist() == [4, 5, 6, 7, 11]
    assert clear("scl", 4.5, np.nan, -1) == [False] * 3  # interpolated, missing


@pytest.mark.parametrize(
    ("kind", "is_clear", "is_not"),
    [
        # clear land, water, snow; fill, outside, dilated cloud, high cloud, shadow, high cirrus
        ("qa_pixel", [21824, 21952, 30048], [1, 0, 21826, 22280, 23888, 54596]),
        # clear, clear with low cloud confidence, water, snow; fill, outside, shadow, cloud with high cirrus
        ("pixel_qa", [322, 386, 324, 336], [1, 0, 328, 352, 480, 992]),
        # clear, medium cloud confidence; fill, outside, cloud, shadow, cirrus
        ("bqa", [2720, 2752], [1, 0, 2800, 2976, 6816]),
    ],
)
def test_bits_of_landsat(kind, is_clear, is_not):
    assert clear(kind, *is_clear) == [True] * len(is_clear)
    assert clear(kind, *is_not) == [False] * len(is_not)
    integers = np.array([is_clear + is_not], np.uint16)
    expected = [[True] * len(is_clear) + [False] * len(is_not)]
    assert clear_sky(kind, integers).tolist() == expected
    assert clear_sky(kind, integers.view(np.int16)).tolist() == expected  # as NetCDF stores them
    assert clear(kind, np.nan, np.inf, -np.inf, 1e30, is_clear[0] + 0.5) == [False] * 5


def test_a_high_signed_number_is_read_as_unsigned():
    # bit 15: medium or high cirrus confidence; the signed number of clear ground under it is negative
    assert clear_sky("qa_pixel", np.array([[-32768 + 64]], np.int16)).tolist() == [[True]]
    assert clear_sky("qa_pixel", np.array([[-32768 + 8]], np.int16)).tolist() == [[False]]


def test_probabilities_and_scores():
    assert clear("probability", 0, 39, 40, 100, 255, -1, np.nan) == [True, True, False, False, False, False, False]
    assert clear("probability_255", 0, 101, 102, 255, 256) == [True, True, False, False, False]
    assert clear("cloud_score", 1, 0.6, 0.59, 0, 2, np.nan) == [True, True, False, False, False, False]
    assert clear("probability", 0, 1, 1) == [True] * 3


def test_clouds_grow_but_no_data_does_not():
    scl = np.full((7, 7), 4, np.uint8)
    scl[1, 1] = 9
    scl[5, 5] = 0
    for dilation, cloudy in ((0, slice(1, 2)), (1, slice(0, 3)), (2, slice(0, 4))):  # a square, cut off at the edge
        expected = np.ones((7, 7), bool)
        expected[cloudy, cloudy] = False
        expected[5, 5] = False
        np.testing.assert_array_equal(clear_sky("scl", scl, dilation), expected)
    assert clear_sky("scl", np.array([[0, 4, 0, 2, 4, 1]], np.uint8), 1)[0, [1, 4]].all()


@pytest.mark.parametrize(
    ("kind", "clear_value", "cloud", "no_data"),
    [("qa_pixel", 21824, 22280, 1), ("probability", 0, 100, 255), ("cloud_score", 1, 0, np.nan)],
)
def test_clouds_of_every_kind_grow(kind, clear_value, cloud, no_data):
    values = np.array([[cloud, clear_value, clear_value, clear_value, no_data]], np.float32)
    assert clear_sky(kind, values, 1).tolist() == [[False, False, True, True, False]]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SCL", "scl"),
        ("S2-L2A-SCL", "scl"),
        ("T32TMT_20220305T102921_SCL_20m", "scl"),
        ("QA_PIXEL", "qa_pixel"),
        ("QA-PIXEL", "qa_pixel"),
        ("pixel_qa", "pixel_qa"),
        ("LC08_L1TP_014031_20180106_BQA", "bqa"),
        ("MSK_CLDPRB_20m", "probability"),
        ("CLD", "probability"),
        ("probability", "probability"),
        ("CLP", "probability_255"),
        ("cs", "cloud_score"),
        ("cs_cdf", "cloud_score"),
        ("snow_probability", None),
        ("MSK_SNWPRB_20m", None),
        ("B02", None),
        ("", None),
    ],
)
def test_kinds_by_name(name, kind):
    assert kind_of_mask(name) == kind
    assert kind in (*MASK_KINDS, None)


def test_wrong_masks_are_refused():
    values = np.array([[0.02, 0.97]], np.float32)
    assert error_message(clear_sky, "qa_pixels", values) == (
        "a mask is of the unknown kind 'qa_pixels', did you mean qa_pixel?"
    )
    assert error_message(clear_sky, "scl", values, -1) == "a mask has a dilation of -1, expected pixels, 0 or more"
    assert error_message(clear_sky, "probability", values) == (
        "cloud probabilities go from 0.02 to 0.97, expected 0 to 100"
    )
