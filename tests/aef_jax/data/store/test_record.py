"""Records round trip bit for bit without copying, and invalid sites are refused."""

import json
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from aef_jax.data.store.record import DTYPES, SERIES_FIELDS, TEXT_FIELDS, _views, decode, encode, validate_site
from aef_jax.data.store.site import Series, Site, TextPoints
from configs.encodings.timecode import DAY_MS
from tests.support.data.small_site import START_MS, small_site
from tests.support.refusals import error_message

SITE = replace(
    small_site().window(slice(0, 6), slice(0, 8)),
    support=(START_MS, START_MS + 365 * DAY_MS),
    weight=2.5,
    labels={"landcover": np.arange(48, dtype=np.uint8).reshape(6, 8), "pixels": np.full((6, 8), -1, np.int32)},
)
BLOB = encode(SITE)


def _series(pixels: np.ndarray, no_data: float | None = None) -> Series:
    frames = len(pixels)
    return Series(
        pixels,
        np.random.default_rng(0).random((*pixels.shape[:3], 1)) < 0.5,
        START_MS + np.arange(frames) * DAY_MS,
        np.zeros((frames, 0)),
        no_data,
    )


def _site(**series: Series) -> Site:
    return Site("made", series, "EPSG:32631", (10, 0, 0, 0, -10, 0))


def _same_bits(array: np.ndarray, other: np.ndarray) -> bool:
    return array.dtype == other.dtype and array.shape == other.shape and array.tobytes() == other.tobytes()


def _assert_same(site: Site, other: Site) -> None:
    assert (site.name, site.crs, site.transform, site.support) == (
        other.name,
        other.crs,
        other.transform,
        other.support,
    )
    assert set(site.series) == set(other.series)
    for name, series in site.series.items():
        assert series.no_data == other.series[name].no_data
        for field in SERIES_FIELDS:
            assert _same_bits(getattr(series, field), getattr(other.series[name], field)), (name, field)
    for field in TEXT_FIELDS:
        assert _same_bits(getattr(site.text, field), getattr(other.text, field)), field
    assert site.text.words == other.text.words
    assert site.weight == other.weight
    assert list(site.labels) == list(other.labels)
    assert all(_same_bits(classes, other.labels[name]) for name, classes in site.labels.items())


def test_full_site_round_trips():
    assert len(SITE.text)
    _assert_same(decode(BLOB, "here"), SITE)


def test_site_without_support_text_and_labels_round_trips():
    bare = replace(SITE, support=None, labels={}, text=TextPoints.none())
    _assert_same(decode(encode(bare), "here"), bare)


def test_words_of_any_language_round_trip():
    words = tuple(f'põld "{number}" 麦\n' for number in range(len(SITE.text)))
    site = replace(SITE, text=replace(SITE.text, words=words))
    _assert_same(decode(encode(site), "here"), site)


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_every_number_type_round_trips_bit_for_bit(dtype):
    """This includes NaN, infinities and negative zero."""
    bits = np.random.default_rng(0).integers(256, size=3 * 4 * 5 * 2 * 8, dtype=np.uint8)
    pixels = bits.view(dtype)[: 3 * 4 * 5 * 2].reshape(3, 4, 5, 2).copy() if dtype != np.bool_ else None
    pixels = (bits[:120] < 99).reshape(3, 4, 5, 2) if pixels is None else pixels
    if pixels.dtype.kind == "f":
        pixels[0, 0, 0], pixels[0, 0, 1] = [np.nan, -np.inf], [-0.0, np.inf]
    site = _site(some=_series(pixels, no_data=7))
    _assert_same(decode(encode(site), "here"), site)


def test_noncontiguous_and_byteswapped_arrays_round_trip():
    numbers = np.arange(240, dtype=np.float32).reshape(3, 4, 5, 4)
    site = _site(cut=_series(numbers[:, :, ::-1, 1:3]))
    _assert_same(decode(encode(site), "here"), site)
    swapped = _site(cut=_series(numbers.astype(">f4")))
    np.testing.assert_array_equal(decode(encode(swapped), "here").series["cut"].pixels, numbers)


def test_source_without_frames_round_trips():
    site = _site(none=_series(np.zeros((0, 4, 5, 2), np.uint16)), some=_series(np.ones((1, 4, 5, 1), np.uint16)))
    _assert_same(decode(encode(site), "here"), site)


def test_spatially_constant_values_are_stored_as_one_pixel():
    month = np.random.default_rng(0).random((12, 1, 1, 3)).astype(np.float32)
    weather = _series(np.broadcast_to(month, (12, 100, 100, 3)))
    weather = replace(weather, valid=np.broadcast_to(np.ones((12, 1, 1, 1), bool), (12, 100, 100, 1)))
    site = _site(weather=weather)
    blob = encode(site)
    assert len(blob) < 2_000
    _assert_same(decode(blob, "here"), site)
    part = site.window(slice(10, 20), slice(30, 35))
    assert len(encode(part)) < 2_000
    _assert_same(decode(encode(part), "here"), part)


def test_arrays_are_views_of_the_blob():
    tracemalloc.start()
    site = decode(BLOB, "here")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(BLOB) / 4
    whole = np.frombuffer(BLOB, np.uint8)
    for series in site.series.values():
        for field in SERIES_FIELDS:
            array = getattr(series, field)
            assert array.size == 0 or np.shares_memory(array, whole)
            assert not array.flags.writeable
    assert np.shares_memory(site.text.sentence, whole)
    assert all(np.shares_memory(classes, whole) for classes in site.labels.values())


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
def test_labels_of_any_integers_round_trip(dtype):
    labels = np.arange(48, dtype=dtype).reshape(6, 8) * 5
    if dtype != np.uint8:
        labels[0] = -1  # no label
        labels[1] = 300
    read = decode(encode(replace(SITE, labels={"crops": labels})), "blob").labels["crops"]
    np.testing.assert_array_equal(read, labels, strict=True)


@pytest.mark.parametrize(("dtype", "signed"), [(np.uint8, np.int16), (np.uint16, np.int32), (np.int16, np.int16)])
def test_masked_labels_are_below_zero(dtype, signed):
    """Unsigned types have no -1, so the map gets the next signed type; no class changes."""
    largest = np.iinfo(dtype).max
    classes = np.full((6, 8), 7, dtype)
    classes[0, :3] = largest, largest - 1, 0
    stored = replace(SITE, labels={"crops": np.ma.masked_equal(classes, largest)}).labels["crops"]
    assert stored.dtype == signed
    assert stored[0, :4].tolist() == [-1, largest - 1, 0, 7]


def test_the_unnamed_labels_of_older_records_are_read():
    tensors, attributes = _views(BLOB)
    attributes.pop("labels")
    attributes.pop("weight")
    tensors = {name: t for name, t in tensors.items() if not name.startswith("labels/")}
    expected = np.ones((6, 8), np.uint8)
    old = save({**tensors, "labels/map": expected}, metadata={"site": json.dumps(attributes)})
    site = decode(old, "here")
    assert (site.weight, list(site.labels)) == (1, ["labels"])
    assert _same_bits(site.labels["labels"], expected)
    _assert_same(decode(encode(site), "here"), site)


def test_safetensors_reads_the_blob():
    from safetensors.numpy import load

    tensors = load(BLOB)
    for name, series in SITE.series.items():
        np.testing.assert_array_equal(tensors[f"{name}/pixels"], series.pixels)
    np.testing.assert_array_equal(tensors["labels/0"], SITE.labels["landcover"])


def _broken(**changes: Any) -> Site:
    return replace(SITE, series={**SITE.series, "landsat": replace(SITE.series["landsat"], **changes)})


def _labeled(classes: np.ndarray) -> Site:
    return replace(SITE, labels={"crops": classes})


LANDSAT = SITE.series["landsat"]
INFINITE = np.full_like(SITE.series["sentinel1"].metadata, np.inf)


@pytest.mark.parametrize(
    ("site", "sentence"),
    [
        (replace(SITE, series={}), "site small: it has no source"),
        (replace(SITE, support=(5, 5)), "its support period (5, 5) ends before it begins"),
        (_broken(pixels=LANDSAT.pixels[1:]), "source landsat: pixels have shape (68, 6, 8, 7), expected (69, 6, 8"),
        (_broken(pixels=LANDSAT.pixels[..., 0]), "source landsat: pixels have shape (69, 6, 8)"),
        (_broken(pixels=LANDSAT.pixels + 1j), "source landsat: pixels are complex64"),
        (_broken(pixels=LANDSAT.pixels[:, :5]), "source landsat: pixels have shape (69, 5, 8, 7), expected (69, 6, 8"),
        (_broken(valid=LANDSAT.valid[..., :2]), "source landsat: the valid-pixel mask is bool (69, 6, 8, 2)"),
        (_broken(valid=LANDSAT.valid.astype(np.uint8)), "source landsat: the valid-pixel mask is uint8"),
        (_broken(time_ms=LANDSAT.time_ms.astype(np.float64)), "source landsat: times are float64"),
        (
            _broken(time_ms=LANDSAT.time_ms * 1_000_000),
            "source landsat: frames have times outside of +-253402300800000",
        ),
        (_broken(metadata=LANDSAT.metadata[1:]), "source landsat: metadata have shape (68, 0)"),
        (_broken(no_data="0"), "source landsat: no data is '0', expected a number"),
        (
            replace(SITE, series={"sentinel1": replace(SITE.series["sentinel1"], metadata=INFINITE)}),
            "source sentinel1: metadata are float64, expected finite numbers",
        ),
        (replace(SITE, weight=0), "site small: its weight is 0, expected a number from 1e-06 to 1e+06"),
        (replace(SITE, weight=np.nan), "site small: its weight is nan, expected a number"),
        (replace(SITE, weight=True), "site small: its weight is True, expected a number"),
        (_labeled(np.zeros((6, 7), np.uint8)), "its labels 'crops' are uint8 (6, 7), expected integers of (6, 8)"),
        (_labeled(np.zeros((6, 8))), "its labels 'crops' are float64"),
        (_labeled(np.zeros((6, 8), np.uint64)), "its labels 'crops' are uint64"),
        (replace(SITE, labels={"": np.zeros((6, 8), np.uint8)}), "label map is called ''"),
        (replace(SITE, text=replace(SITE.text, row=SITE.text.row + 6)), "source text: a point is outside of the"),
        (replace(SITE, text=replace(SITE.text, row=SITE.text.row * 1.0)), "source text: row is float64"),
        (replace(SITE, text=replace(SITE.text, column=SITE.text.column[1:])), "source text: column is int64"),
        (replace(SITE, text=replace(SITE.text, period_ms=SITE.text.period_ms[:, ::-1])), "ends before it begins"),
        (replace(SITE, text=replace(SITE.text, sentence=SITE.text.sentence * np.nan)), "is not finite"),
        (replace(SITE, text=replace(SITE.text, words=("one",) * 99)), "there are words of 99 points, expected"),
    ],
)
def test_invalid_site_error_names_it(site, sentence):
    assert sentence in error_message(validate_site, site)
    assert sentence in error_message(encode, site)
    assert error_message(validate_site, site).startswith("site small")
