"""Tests of fields made from tiles: every pixel is covered, without seams or influence of trimmed pixels."""

from dataclasses import replace

import numpy as np
import pytest

from configs.encodings.timecode import DAY_MS, period_code, timecode
from configs.fields.frames import read_period
from configs.fields.layout import inner_strip, lay_out, step_of
from configs.fields.periods import default_support, group_by_support
from configs.fields.quantize import NO_DATA, quantize
from configs.fields.stacks import FrameStack
from configs.fields.tiling import Area, embed_area, embed_areas
from configs.presets import PAPER, TINY

TILES_OF_32 = replace(TINY, data=replace(TINY.data, tile_side=32))
YEAR = read_period(2019)
SOURCES = {"sentinel2": 5, "landsat": 7}


def times(*days: str) -> np.ndarray:
    return np.array(days, "datetime64[ms]").astype(np.int64)


def make_stacks(height: int, width: int, dates: dict[str, list[str]] | None = None) -> dict[str, FrameStack]:
    rng = np.random.default_rng(0)
    dates = dates or {"sentinel2": ["2018-12-31", "2019-01-01", "2019-06-01", "2020-01-01"]}
    return {
        name: FrameStack(
            rng.uniform(0.5, 1.5, (len(days), height, width, SOURCES[name])).astype(np.float32), times(*days)
        )
        for name, days in dates.items()
    }


def embed(model, stacks, config=TILES_OF_32, period=YEAR, support=None, batch=4) -> np.ndarray:
    area = Area(stacks, [period], support or default_support(period, config))
    (field,) = embed_area(model, area, config, batch)
    return field


class PixelEmbed:
    """A model of single pixels, whose result must not depend on the tiling. It records its calls."""

    def __init__(self):
        self.calls = []
        self.directions = np.random.default_rng(1).normal(size=(5, 64))

    def __call__(self, frames, periods):
        self.calls.append((frames, periods))
        means = np.einsum("bnhwc,cd->bhwd", frames["sentinel2"].pixels, self.directions)
        return (means / np.maximum(np.linalg.norm(means, axis=-1, keepdims=True), 1e-9))[:, None]


def test_tiles_have_the_papers_distances():
    """Tiles of 1.28 km every 960 m, trimmed by 80 m except at the ends of the site."""
    first, second, third = lay_out(96 * 2 + 128, 128)

    assert [strip.start for strip in (first, second, third)] == [0, 96, 192]
    assert [strip.used for strip in (first, second, third)] == [slice(0, 120), slice(8, 120), slice(8, 128)]
    # weights sum to one over the 16 pixels of overlap between the trims
    np.testing.assert_allclose(first.weight[-16:] + second.weight[:16], 1, rtol=1e-6)
    np.testing.assert_array_equal(first.weight[:-16], 1)


@pytest.mark.parametrize("side", [16, 32, 128])
def test_tiles_cover_every_pixel(side):
    for length in [*range(1, 4 * side, 3), side, side + 1]:
        strips = lay_out(length, side)
        total = np.zeros(length)
        for strip in strips:
            assert 0 <= strip.start <= max(0, length - side + 1)
            assert strip.start % 2 == 0
            assert strip.target.stop <= length
            assert (strip.weight > 0).all()
            total[strip.target] += strip.weight
        assert (total > 0).all()


@pytest.mark.parametrize("shape", [(100, 75), (32, 32), (33, 32), (20, 90), (5, 7), (1, 61)])
def test_a_pixelwise_model_leaves_no_seam(shape):
    site, model = make_stacks(*shape), PixelEmbed()
    field = embed(model, site, batch=3)

    seen = site["sentinel2"].pixels[1:3]
    expected = np.einsum("nhwc,cd->hwd", seen, model.directions)
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    assert field.shape == (*shape, 64)
    assert field.dtype == np.float32
    np.testing.assert_allclose(field, expected, atol=1e-6)


def test_neighboring_tiles_are_blended_to_unit_vectors():
    """If each tile has its own direction, the field turns from one to the next without a jump."""
    side, near, far = 32, np.eye(64)[0], np.eye(64)[1]

    def model(frames, periods):
        which = np.arange(len(frames["sentinel2"].pixels))[:, None, None, None, None] == 0
        return np.where(which, near, far) * np.ones((1, 1, side, side, 1))

    field = embed(model, make_stacks(side, 56))

    np.testing.assert_allclose(np.linalg.norm(field, axis=-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(field[:, :26], np.broadcast_to(near, (side, 26, 64)))
    np.testing.assert_array_equal(field[:, 30:], np.broadcast_to(far, (side, 26, 64)))
    across = field[0, 25:31, 1]
    assert (np.diff(across) > 0).all()
    assert np.diff(across).max() < 0.5


def test_trimmed_pixels_have_no_influence():
    """NaN in the outer pixels of all tiles, which other tiles cover, does not reach the field."""
    site, plain = make_stacks(80, 56), PixelEmbed()
    rows, columns = lay_out(80, 32), lay_out(56, 32)
    assert [strip.start for strip in rows] == [0, 24, 48]

    def with_nan(frames, periods):
        means = plain(frames, periods)
        for i, (row, column) in enumerate((row, column) for row in rows for column in columns):
            inside = np.zeros((32, 32), bool)
            inside[row.used, column.used] = True
            means[i, 0, ~inside] = np.nan
        return means

    np.testing.assert_array_equal(embed(with_nan, site, batch=6), embed(PixelEmbed(), site))


def test_the_model_is_always_called_with_the_same_shapes():
    model = PixelEmbed()
    embed(model, make_stacks(100, 75), batch=3)
    embed(model, make_stacks(100, 100), batch=3)

    assert len(model.calls) == 4 + 6  # 12 tiles, and 16 with the last one alone in its batch
    shapes = {(frames["sentinel2"].pixels.shape, periods.shape) for frames, periods in model.calls}
    assert shapes == {((3, 2, 32, 32, 5), (3, 1, period_code(*np.int64(YEAR)).shape[0]))}


def test_the_model_gets_all_frames_of_the_support_period():
    model = PixelEmbed()
    site = make_stacks(32, 32)
    embed(model, site)
    ((frames, periods),) = model.calls

    sentinel2 = frames["sentinel2"]
    expected = times("2019-01-01", "2019-06-01")  # the end of a period is exclusive
    np.testing.assert_allclose(sentinel2.timecodes[0], timecode(expected), atol=1e-6)
    np.testing.assert_array_equal(sentinel2.pixels[0], site["sentinel2"].pixels[1:3])
    assert sentinel2.present.tolist() == [[True, True]]
    assert {sentinel2.pixels.dtype, sentinel2.timecodes.dtype, periods.dtype} == {np.dtype(np.float32)}
    np.testing.assert_allclose(periods[0, 0], period_code(*np.int64(YEAR)), atol=1e-6)


def test_a_source_without_a_frame_is_left_out():
    dates = {"sentinel2": ["2019-03-01"], "landsat": ["2017-03-01"]}
    model = PixelEmbed()
    embed(model, make_stacks(32, 32, dates))

    assert list(model.calls[0][0]) == ["sentinel2"]


def test_short_site_is_mirrored_to_the_next_multiple_of_16():
    model = PixelEmbed()
    embed(model, make_stacks(40, 131), PAPER, YEAR, batch=1)

    first, last = (frames["sentinel2"].pixels[:, :2] for frames, _ in model.calls)
    site = make_stacks(40, 131)["sentinel2"].pixels[1:3]
    assert first.shape == (1, 2, 48, 128, 5)
    np.testing.assert_array_equal(first[0, :, :40], site[:, :, :128])
    np.testing.assert_array_equal(first[0, :, 40:], site[:, :-9:-1, :128])
    np.testing.assert_array_equal(
        last[0, :, :40, :127], site[:, :, 4:]
    )  # starts at an even column; the last column is mirrored
    np.testing.assert_array_equal(last[0, :, :40, 127], site[:, :, 130])


def test_default_support_is_a_year_around_the_period():
    month = read_period(("2019-06-01", "2019-07-01"))
    start, end = default_support(month, TILES_OF_32)

    assert default_support(YEAR, TILES_OF_32) == YEAR
    assert end - start == 365 * DAY_MS
    assert start + end == sum(month)


def test_a_valid_period_may_lie_outside_its_support():
    future = read_period(2021)
    model = PixelEmbed()
    field = embed(model, make_stacks(32, 32), TILES_OF_32, future, support=YEAR)

    assert np.isfinite(field).all()
    np.testing.assert_allclose(model.calls[0][1][0, 0], period_code(*np.int64(future)), atol=1e-6)


def test_a_period_without_a_frame_is_refused():
    later = read_period(2030)
    with pytest.raises(
        ValueError, match=r"no frame .* 2030-01-01\.\.2031-01-01; they have frames of 2018-12-31\.\.2020"
    ):
        embed(PixelEmbed(), make_stacks(32, 32), TILES_OF_32, later)


def test_an_empty_period_is_refused():
    with pytest.raises(ValueError, match=r"the valid period 2020-01-01\.\.2019-01-01 is empty"):
        embed(PixelEmbed(), make_stacks(32, 32), TILES_OF_32, YEAR[::-1])


def test_a_site_that_is_not_z_scored_is_refused():
    site = make_stacks(32, 32)
    raw = site["sentinel2"]._replace(pixels=site["sentinel2"].pixels * 1000)
    with pytest.raises(ValueError, match="sentinel2 is not z-scored"):
        embed(PixelEmbed(), {"sentinel2": raw})


def test_embeddings_that_are_not_finite_are_refused():
    def broken(frames, periods):
        return np.full((len(periods), 1, 32, 32, 64), np.nan)

    with pytest.raises(ValueError, match="1024 of 1024 pixels have no finite embedding"):
        embed(broken, make_stacks(32, 32))


def test_pixel_that_no_frame_shows_is_stored_as_no_data():
    site = make_stacks(32, 32, {"sentinel2": ["2019-02-01", "2019-06-01"], "landsat": ["2019-03-01"]})
    site["sentinel2"].pixels[:, 1] = 0  # a whole row, which the other source shows but for one pixel
    site["landsat"].pixels[:, 1, 2] = 0

    def east(frames, periods):
        return np.broadcast_to(np.eye(64)[0], (len(periods), 1, 32, 32, 64))

    codes = quantize(embed(east, site))
    assert np.argwhere((codes == NO_DATA).any(axis=-1)).tolist() == [[1, 2]]
    assert (codes[1, 2] == NO_DATA).all()


def test_periods_that_fit_in_one_support_period_share_it():
    months = [read_period((f"2019-{m:02d}-01", f"2019-{m + 1:02d}-01")) for m in range(1, 12)]
    ((support, shared),) = group_by_support(months, TILES_OF_32).items()
    assert shared == months
    assert support[1] - support[0] == 365 * DAY_MS
    assert support[0] <= months[0][0]
    assert support[1] >= months[-1][1]
    years = [read_period(2018), read_period(2019)]
    assert group_by_support(years, TILES_OF_32) == {year: [year] for year in years}


def test_several_periods_come_from_one_call():
    model, summer = PixelEmbed(), read_period(("2019-06-01", "2019-09-01"))

    def of_periods(frames, periods):
        return np.repeat(model(frames, periods), periods.shape[1], axis=1) * [[[[[1]]], [[[-1]]]]]

    year, opposite = embed_area(of_periods, Area(make_stacks(32, 32), [YEAR, summer], YEAR), TILES_OF_32)
    np.testing.assert_array_equal(year, -opposite)
    ((_, codes),) = model.calls
    np.testing.assert_allclose(codes[0, 1], period_code(*np.int64(summer)), atol=1e-6)


def test_tiles_of_several_areas_share_a_batch():
    model, areas = PixelEmbed(), [Area(make_stacks(32, 32 + 24 * n), [YEAR], YEAR) for n in (0, 1, 0)]
    fields = list(embed_areas(model, iter(areas), TILES_OF_32, batch=4))
    assert len(model.calls) == 1
    for area, field in zip(areas, fields, strict=True):
        np.testing.assert_array_equal(field[0], embed(PixelEmbed(), area.stacks))


def test_tiles_with_neighbors_have_weights_that_sum_to_one():
    for side in (16, 32, 128):
        total = np.zeros(4 * side)
        for start in range(0, 4 * side, step_of(side)):
            strip = inner_strip(start, side)
            used = slice(strip.target.start, min(strip.target.stop, len(total)))
            total[used] += strip.weight[: used.stop - used.start]
        np.testing.assert_allclose(total[side : 3 * side], 1, rtol=1e-6)
