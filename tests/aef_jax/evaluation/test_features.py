"""Tests of features: designed ones, fields and tables."""

from dataclasses import replace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from pyproj import Transformer

from aef_jax.data.store.dataset import Dataset
from aef_jax.evaluation.features.composites import composite, monthly_medians, period_median
from aef_jax.evaluation.features.field_features import sample_field
from aef_jax.evaluation.features.frame_values import FrameValues, designed_features, frame_values
from aef_jax.evaluation.features.harmonics import YEAR_MS, harmonic_fits
from aef_jax.evaluation.features.random_convolutions import random_convolutions
from aef_jax.evaluation.features.sample_features import DESIGNED, Imagery, parse_feature_spec, sample_features
from aef_jax.evaluation.features.tables import sample_table
from aef_jax.evaluation.labels.labeled_points import LabeledPoints
from aef_jax.inference.field import ArrayField, FieldInfo
from configs.encodings.timecode import DAY_MS
from configs.fields.quantize import quantize
from configs.fields.statistics import CLIP_SIGMA
from tests.support.data.small_dataset import write
from tests.support.data.small_site import CONFIG, schema_of, small_site
from tests.support.refusals import error_message

YEAR = 1514764800000, 1546300800000


def points_at(x, y, crs: str = "EPSG:32631") -> LabeledPoints:
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(
        np.asarray(x, float), np.asarray(y, float)
    )
    rows = np.arange(len(lon))
    return LabeledPoints("p.csv", lon, lat, rows, rows, rows % 2, ("0", "1"), len(rows))


def test_composite_is_clear_optical_median_and_radar_mean():
    site, schema = small_site(), schema_of()
    stacks = frame_values(site, schema.normalization, CONFIG.input_sources, None)
    features = designed_features(composite, stacks)
    assert features.shape == (*site.shape, 16)
    row, column, expected = 5, 7, []
    for source, bands, average in (("sentinel2", 5, np.median), ("landsat", 7, np.median), ("sentinel1", 4, np.mean)):
        series = schema.normalization.apply(site, CONFIG.decoded_sources).series[source]
        for band in range(bands):
            clear = np.broadcast_to(series.valid, series.pixels.shape)[:, row, column, band]
            expected.append(average(series.pixels[clear, row, column, band]))
    np.testing.assert_allclose(features[row, column], expected, rtol=1e-5, atol=1e-6)
    assert np.abs(features).max() <= CLIP_SIGMA


def _stack(values: list[float], days: list[float], source: str = "sentinel2") -> FrameValues:
    pixels = np.array(values, np.float32).reshape(-1, 1, 1, 1)
    return FrameValues(source, pixels, YEAR[0] + (np.array(days) * DAY_MS).astype(np.int64))


def test_monthly_medians_fill_months_without_a_frame():
    """January has 1, 3 and 8; March 5 and a cloud; August 9; the median of all is 5."""
    stack = _stack([1, 3, 8, 5, np.nan, 9], [0, 10, 20, 65, 70, 220])
    assert designed_features(monthly_medians, [stack])[0, 0].tolist() == [3, 5, 5, 5, 5, 5, 5, 9, 5, 5, 5, 5]
    assert period_median([stack])[0, 0].tolist() == [5]


def test_harmonics_recover_a_seasonal_curve():
    """With many frames the penalty does not count: mean 2, cosine 1 of the first harmonic, sine -0.5 of the second."""
    days = np.arange(0, 365.2425, 0.5)
    phase = 2 * np.pi * (YEAR[0] + days * DAY_MS) / YEAR_MS
    stack = _stack(list(2 + np.cos(phase) - 0.5 * np.sin(2 * phase)), list(days))
    np.testing.assert_allclose(harmonic_fits([stack])[0, 0], [2, 1, 0, 0, -0.5], atol=0.01)
    single = harmonic_fits([_stack([3], [50])])[0, 0]
    assert single[0] == pytest.approx(3, abs=1e-3), "one frame is a flat curve"
    assert np.abs(single[1:]).max() < 1e-3


def test_random_convolutions_are_local_rectified_and_fixed():
    generator = np.random.default_rng(0)
    values = generator.standard_normal((4, 20, 20, 5)).astype(np.float32)
    stack = FrameValues("sentinel2", values, YEAR[0] + np.arange(4))
    features = random_convolutions([stack])
    assert features.shape == (20, 20, 256)
    assert features.min() >= 0
    changed = values.copy()
    changed[:, 10, 10] += 5
    is_other = (random_convolutions([stack._replace(values=changed)]) != features).any(axis=-1)
    rows, columns = np.nonzero(is_other)
    # the filter reaches 1 pixel and the neighborhood 2 (to rounding: the running sums of the filter)
    assert {rows.min(), columns.min()} == {7}
    np.testing.assert_allclose(random_convolutions([stack._replace(values=changed)])[14:], features[14:], atol=1e-5)


def test_designed_features_of_a_pixel_that_nothing_shows_are_nan():
    values = np.ones((2, 1, 2, 1), np.float32)
    values[:, 0, 1] = np.nan
    stack = FrameValues("sentinel2", values, YEAR[0] + np.arange(2))
    missing = FrameValues("landsat", np.zeros((0, 1, 2, 3), np.float32), np.zeros(0, np.int64))
    for design in DESIGNED.values():
        features = designed_features(design, [stack, missing])
        assert np.isfinite(features[0, 0]).all()
        assert np.isnan(features[0, 1]).all()


def test_features_of_sites_are_sampled_at_points(tmp_path):
    site = small_site()
    path = write(tmp_path / "set", [site], [replace(site.window(slice(0, 16), slice(0, 16)), name="part")])
    points = points_at([500_045, 500_005, 600_000], [5_599_965, 5_599_995, 5_600_000])
    features = sample_features(parse_feature_spec("median"), points, Imagery(path))
    dataset = Dataset.open(path)
    sources = [source for source in dataset.definitions if source.is_input]
    stacks = frame_values(site, dataset.normalization, sources, None)
    expected = designed_features(period_median, stacks)
    np.testing.assert_allclose(features[:2], expected[[3, 0], [4, 0]], rtol=1e-5)
    assert np.isnan(features[2]).all()
    one_year = sample_features(parse_feature_spec("median@2017"), points, Imagery(path))
    assert np.abs(one_year - features)[:2].max() > 0.01
    far = points_at([700_000], [5_599_965])
    refusal = f"p.csv: none of its 1 points lies in a site of {path} (validation)"
    assert error_message(sample_features, parse_feature_spec("median"), far, Imagery(path)) == refusal
    assert "give --data" in error_message(sample_features, parse_feature_spec("median"), points, Imagery())


def _field(crs: str = "EPSG:32631") -> ArrayField:
    vectors = np.random.default_rng(0).standard_normal((600, 20, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors[0, 0] = np.nan
    return ArrayField(FieldInfo(crs, (10, 0, 500_000, 0, -10, 5_600_000), (600, 20), 4, YEAR), vectors)


def test_a_field_is_sampled_in_its_own_crs():
    field, row, column = _field(), np.array([0, 599, 511, 512, 30]), np.array([0, 19, 3, 4, 20])
    points = points_at(500_000 + 10 * column + 3, 5_600_000 - 10 * row - 8)
    sampled = sample_field(field, "f.tif", points, YEAR)
    np.testing.assert_array_equal(sampled[:4], field.vectors[row[:4], column[:4]])
    assert np.isnan(sampled[4]).all(), "east of the field"
    refusal = "p.csv: none of its 1 points lies in f.tif, expected some"
    assert error_message(sample_field, field, "f.tif", points_at([1e6], [0]), None) == refusal
    refusal = "f.tif: its crs is 'EPSG:banana', expected one that PROJ knows"
    assert error_message(sample_field, _field("EPSG:banana"), "f.tif", points, None) == refusal
    refusal = "f.tif: its period is 2018-01-01 to 2019-01-01, expected 2019-01-01 to 2020-01-01"
    assert error_message(sample_field, field, "f.tif", points, parse_feature_spec("f.tif@2019").period) == refusal


def test_what_names_features_is_parsed():
    assert parse_feature_spec("a/b.tif") == ("b", "a/b.tif", None)
    assert parse_feature_spec("x=a/b.tif@2018") == ("x", "a/b.tif", YEAR)
    assert parse_feature_spec("p.npz:emb:Q1@2018-01-01..2019-01-01") == ("p", "p.npz:emb:Q1", YEAR)
    for text, message in (
        ("a@2018-01-01..2017-01-01", "expected START before END"),
        ("a@soon", "expected @YEAR or @START..END"),
        ("a@b@c", "are not [NAME=]WHAT[@PERIOD]"),
        ("a@x..y", "not a date in ISO 8601"),
    ):
        assert message in error_message(parse_feature_spec, text)
    refusal = error_message(sample_features, parse_feature_spec("nothing"), points_at([0.0], [0.0]), Imagery())
    assert refusal.startswith("there are no features 'nothing': expected composite, median, harmonics")


def test_stored_int8_vectors_are_dequantized_unit_vectors(tmp_path):
    points = points_at([500_000.0] * 3, [0.0] * 3)
    vectors = np.random.default_rng(0).standard_normal((3, 2, 64))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    codes = quantize(vectors)
    codes[2] = -128
    np.savez(tmp_path / "a.npz", emb=codes, slot=np.array(["Q1", "Q2"]), flat=codes[:, 0])
    by_name = sample_table(tmp_path / "a.npz", "emb:Q2", points)
    np.testing.assert_allclose(by_name[:2], vectors[:2, 1], atol=0.01)
    np.testing.assert_allclose(np.linalg.norm(by_name[:2], axis=1), 1, atol=1e-6)
    assert np.isnan(by_name[2]).all()
    np.testing.assert_array_equal(sample_table(tmp_path / "a.npz", "emb:1", points), by_name)
    assert "choose one slot" in error_message(sample_table, tmp_path / "a.npz", "emb", points)
    assert "it has no slot 'Q9', only Q1, Q2" in error_message(sample_table, tmp_path / "a.npz", "emb:Q9", points)
    np.save(tmp_path / "a.npy", codes[:2, 0])
    refusal = f"{tmp_path / 'a.npy'}: it has 2 rows, expected 3, one for each row of p.csv"
    assert error_message(sample_table, tmp_path / "a.npy", "", points) == refusal
    codes[:] = -128
    np.save(tmp_path / "b.npy", codes[:, 0])
    refusal = "features b: all no data at the 3 points of p.csv"
    assert error_message(sample_features, parse_feature_spec(f"{tmp_path}/b.npy"), points, Imagery()) == refusal


def test_columns_of_tables_are_in_the_order_of_numbers(tmp_path):
    points = points_at([500_000.0] * 2, [0.0] * 2)
    (tmp_path / "a.csv").write_text("A10,name,A2,B0\n1,x,2,7\n3,y,,8\n")
    np.testing.assert_array_equal(sample_table(tmp_path / "a.csv", "", points), [[2, 1], [np.nan, 3]])
    np.testing.assert_array_equal(sample_table(tmp_path / "a.csv", "B", points), [[7], [8]])
    second = points._replace(row=np.array([1, 1]))
    np.testing.assert_array_equal(sample_table(tmp_path / "a.csv", "B", second), [[8], [8]])
    table = pyarrow.table({"A1": [1, 3], "A0": [2.0, None], "label": ["a", "b"]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    np.testing.assert_array_equal(sample_table(tmp_path / "a.parquet", "", points), [[2, 1], [np.nan, 3]])
    assert "it has no column C0, C1 ..., expected features" in error_message(
        sample_table, tmp_path / "a.csv", "C", points
    )
    (tmp_path / "b.csv").write_text("A0\n1\nmany\n")
    assert "row 3: could not convert" in error_message(sample_table, tmp_path / "b.csv", "", points)
