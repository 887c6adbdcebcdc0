"""Tests of fields made from tiles: every pixel is covered, without seams or influence of trimmed pixels."""

from dataclasses import replace

import numpy as np
import pytest

from aef_jax.data.store.site import Series, Site, to_ms
from aef_jax.inference.site import choose_support, embed_site
from configs.encodings.timecode import DAY_MS, period_code, timecode
from configs.fields.quantize import NO_DATA, quantize
from configs.fields.tiling import FRAMES_MULTIPLE, default_support, lay_out
from configs.presets import PAPER, TINY

TILES_OF_32 = replace(TINY, data=replace(TINY.data, tile_side=32))

YEAR = (to_ms("2019-01-01"), to_ms("2020-01-01"))
SOURCES = {"sentinel2": 5, "landsat": 7}


def make_site(height: int, width: int, dates: dict[str, list[str]] | None = None) -> Site:
    rng = np.random.default_rng(0)
    series = {}
    for name, days in (dates or {"sentinel2": ["2018-12-31", "2019-01-01", "2019-06-01", "2020-01-01"]}).items():
        shape = (len(days), height, width, SOURCES[name])
        pixels = rng.uniform(0.5, 1.5, shape).astype(np.float32)
        times = np.array([to_ms(day) for day in days], np.int64)
        series[name] = Series(pixels, np.ones(shape, bool), times, np.zeros((len(days), 0)))
    return Site("made", series, "EPSG:32631", (10, 0, 0, 0, -10, 0))


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
    site, embed = make_site(*shape), PixelEmbed()
    field = embed_site(embed, site, TILES_OF_32, YEAR, batch=3)

    seen = site.between(*YEAR).series["sentinel2"].pixels
    expected = np.einsum("nhwc,cd->hwd", seen, embed.directions)
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    assert field.shape == (*shape, 64)
    assert field.dtype == np.float32
    np.testing.assert_allclose(field, expected, atol=1e-6)


def test_neighboring_tiles_are_blended_to_unit_vectors():
    """If each tile has its own direction, the field turns from one to the next without a jump."""
    side, near, far = 32, np.eye(64)[0], np.eye(64)[1]

    def embed(frames, periods):
        which = np.arange(len(frames["sentinel2"].pixels))[:, None, None, None, None] == 0
        return np.where(which, near, far) * np.ones((1, 1, side, side, 1))

    field = embed_site(embed, make_site(side, 56), TILES_OF_32, YEAR)

    np.testing.assert_allclose(np.linalg.norm(field, axis=-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(field[:, :26], np.broadcast_to(near, (side, 26, 64)))
    np.testing.assert_array_equal(field[:, 30:], np.broadcast_to(far, (side, 26, 64)))
    across = field[0, 25:31, 1]
    assert (np.diff(across) > 0).all()
    assert np.diff(across).max() < 0.5


def test_trimmed_pixels_have_no_influence():
    """NaN in the outer pixels of all tiles, which other tiles cover, does not reach the field."""
    site, plain = make_site(80, 56), PixelEmbed()
    rows, columns = lay_out(80, 32), lay_out(56, 32)
    assert [strip.start for strip in rows] == [0, 24, 48]

    def with_nan(frames, periods):
        means = plain(frames, periods)
        for i, (row, column) in enumerate((row, column) for row in rows for column in columns):
            inside = np.zeros((32, 32), bool)
            inside[row.used, column.used] = True
            means[i, 0, ~inside] = np.nan
        return means

    np.testing.assert_array_equal(
        embed_site(with_nan, site, TILES_OF_32, YEAR, batch=6), embed_site(PixelEmbed(), site, TILES_OF_32, YEAR)
    )


def test_the_model_is_always_called_with_the_same_shapes():
    embed = PixelEmbed()
    embed_site(embed, make_site(100, 75), TILES_OF_32, YEAR, batch=3)
    embed_site(embed, make_site(100, 100), TILES_OF_32, YEAR, batch=3)

    assert len(embed.calls) == 4 + 6  # 12 tiles, and 16 with the last one alone in its batch
    shapes = {(frames["sentinel2"].pixels.shape, periods.shape) for frames, periods in embed.calls}
    assert shapes == {((3, FRAMES_MULTIPLE, 32, 32, 5), (3, 1, period_code(*np.int64(YEAR)).shape[0]))}


def test_the_model_gets_all_frames_of_the_support_period():
    embed = PixelEmbed()
    site = make_site(32, 32)
    embed_site(embed, site, TILES_OF_32, YEAR)
    ((frames, periods),) = embed.calls

    sentinel2 = frames["sentinel2"]
    expected = [to_ms("2019-01-01"), to_ms("2019-06-01")]  # the end of a period is exclusive
    np.testing.assert_allclose(sentinel2.timecodes[0, :2], timecode(np.array(expected)), atol=1e-6)
    np.testing.assert_array_equal(sentinel2.pixels[0, :2], site.series["sentinel2"].pixels[1:3])
    np.testing.assert_array_equal(sentinel2.present, np.arange(FRAMES_MULTIPLE)[None] < 2)
    assert {sentinel2.pixels.dtype, sentinel2.timecodes.dtype, periods.dtype} == {np.dtype(np.float32)}
    np.testing.assert_allclose(periods[0, 0], period_code(*np.int64(YEAR)), atol=1e-6)


def test_a_source_without_a_frame_is_left_out():
    dates = {"sentinel2": ["2019-03-01"], "landsat": ["2017-03-01"]}
    embed = PixelEmbed()
    embed_site(embed, make_site(32, 32, dates), TILES_OF_32, YEAR)

    assert list(embed.calls[0][0]) == ["sentinel2"]


def test_short_site_is_mirrored_to_the_next_multiple_of_16():
    embed = PixelEmbed()
    embed_site(embed, make_site(40, 131), PAPER, YEAR, batch=1)

    first, last = (frames["sentinel2"].pixels[:, :2] for frames, _ in embed.calls)
    site = make_site(40, 131).between(*YEAR).series["sentinel2"].pixels
    assert first.shape == (1, 2, 48, 128, 5)
    np.testing.assert_array_equal(first[0, :, :40], site[:, :, :128])
    np.testing.assert_array_equal(first[0, :, 40:], site[:, :-9:-1, :128])
    np.testing.assert_array_equal(
        last[0, :, :40, :127], site[:, :, 4:]
    )  # starts at an even column; the last column is mirrored
    np.testing.assert_array_equal(last[0, :, :40, 127], site[:, :, 130])


def test_default_support_is_a_year_around_the_period():
    month = (to_ms("2019-06-01"), to_ms("2019-07-01"))
    start, end = default_support(month, TILES_OF_32)

    assert default_support(YEAR, TILES_OF_32) == YEAR
    assert end - start == 365 * DAY_MS
    assert start + end == sum(month)


def test_a_valid_period_may_lie_outside_its_support():
    future = (to_ms("2021-01-01"), to_ms("2022-01-01"))
    embed = PixelEmbed()
    field = embed_site(embed, make_site(32, 32), TILES_OF_32, future, support=YEAR)

    assert np.isfinite(field).all()
    np.testing.assert_allclose(embed.calls[0][1][0, 0], period_code(*np.int64(future)), atol=1e-6)


def test_a_period_without_a_frame_is_refused():
    later = (to_ms("2030-01-01"), to_ms("2031-01-01"))
    with pytest.raises(
        ValueError, match=r"no frame .* 2030-01-01\.\.2031-01-01; they have frames of 2018-12-31\.\.2020"
    ):
        embed_site(PixelEmbed(), make_site(32, 32), TILES_OF_32, later)


def test_an_empty_period_is_refused():
    with pytest.raises(ValueError, match=r"the valid period 2020-01-01\.\.2019-01-01 is empty"):
        embed_site(PixelEmbed(), make_site(32, 32), TILES_OF_32, YEAR[::-1])


def test_a_site_that_is_not_z_scored_is_refused():
    site = make_site(32, 32)
    raw = replace(site.series["sentinel2"], pixels=site.series["sentinel2"].pixels * 1000)
    with pytest.raises(ValueError, match="sentinel2 is not z-scored"):
        embed_site(PixelEmbed(), replace(site, series={"sentinel2": raw}), TILES_OF_32, YEAR)


def test_embeddings_that_are_not_finite_are_refused():
    def broken(frames, periods):
        return np.full((len(periods), 1, 32, 32, 64), np.nan)

    with pytest.raises(ValueError, match="1024 of 1024 pixels have no finite embedding"):
        embed_site(broken, make_site(32, 32), TILES_OF_32, YEAR)


def test_support_of_a_site_must_meet_the_valid_period():
    """Row 5 of the users' cases: a field of 2023 was made from the frames of 2022."""
    site = replace(make_site(32, 32), support=YEAR)
    summer = to_ms("2019-06-01"), to_ms("2019-07-01")
    assert choose_support(site, TILES_OF_32, summer) == YEAR
    assert choose_support(replace(site, support=None), TILES_OF_32, summer) == default_support(summer, TILES_OF_32)
    overlapping = to_ms("2018-12-01"), to_ms("2019-01-02")
    assert choose_support(site, TILES_OF_32, overlapping) == YEAR
    for start, end in (("2018-12-01", "2019-01-01"), ("2020-01-01", "2021-01-01")):
        with pytest.raises(ValueError, match=f"site made: its support .* does not meet the valid period {start}"):
            choose_support(site, TILES_OF_32, (to_ms(start), to_ms(end)))


def test_pixel_that_no_frame_shows_is_stored_as_no_data():
    site = make_site(32, 32, {"sentinel2": ["2019-02-01", "2019-06-01"], "landsat": ["2019-03-01"]})
    pixels = {name: series.pixels.copy() for name, series in site.series.items()}
    pixels["sentinel2"][:, 1] = 0  # a whole row, which the other source shows but for one pixel
    pixels["landsat"][:, 1, 2] = 0
    series = {name: replace(series, pixels=pixels[name]) for name, series in site.series.items()}

    def east(frames, periods):
        return np.broadcast_to(np.eye(64)[0], (len(periods), 1, 32, 32, 64))

    codes = quantize(embed_site(east, replace(site, series=series), TILES_OF_32, YEAR))
    assert np.argwhere((codes == NO_DATA).any(axis=-1)).tolist() == [[1, 2]]
    assert (codes[1, 2] == NO_DATA).all()
