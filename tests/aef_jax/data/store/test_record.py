"""Records round trip bit for bit without copying, and nothing that a blob states is trusted."""

import json
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aef_jax.data.store.record import DTYPES, LABELS, SERIES_FIELDS, TEXT_FIELDS, decode, encode, validate_site
from aef_jax.data.store.site import Series, Site, TextPoints
from configs.encodings.timecode import DAY_MS
from tests.support.data.small_site import START_MS, small_site
from tests.support.refusals import error_message

SITE = replace(
    small_site().window(slice(0, 6), slice(0, 8)),
    support=(START_MS, START_MS + 365 * DAY_MS),
    labels=np.arange(48, dtype=np.uint8).reshape(6, 8),
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
    assert (site.labels is None) == (other.labels is None)
    assert site.labels is None or _same_bits(site.labels, other.labels)


def test_full_site_round_trips():
    assert len(SITE.text)
    _assert_same(decode(BLOB, "here"), SITE)


def test_site_without_support_text_and_labels_round_trips():
    bare = replace(SITE, support=None, labels=None, text=TextPoints.none())
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
    assert site.labels is not None
    assert np.shares_memory(site.labels, whole)


def test_safetensors_reads_the_blob():
    from safetensors.numpy import load

    tensors = load(BLOB)
    for name, series in SITE.series.items():
        np.testing.assert_array_equal(tensors[f"{name}/pixels"], series.pixels)
    assert SITE.labels is not None
    np.testing.assert_array_equal(tensors[LABELS], SITE.labels)


def _broken(**changes: Any) -> Site:
    return replace(SITE, series={**SITE.series, "landsat": replace(SITE.series["landsat"], **changes)})


LANDSAT = SITE.series["landsat"]
NAN_FACTS = np.full_like(SITE.series["sentinel1"].metadata, np.nan)


@pytest.mark.parametrize(
    ("site", "sentence"),
    [
        (replace(SITE, series={}), "site small: it has no source"),
        (replace(SITE, support=(5, 5)), "its support period (5, 5) ends before it begins"),
        (replace(SITE, transform=(10, 0, np.nan, 0, -10, 0)), "its transform is"),
        (_broken(pixels=LANDSAT.pixels[1:]), "source landsat: pixels have shape (68, 6, 8, 7), expected (69, 6, 8"),
        (_broken(pixels=LANDSAT.pixels[..., 0]), "source landsat: pixels have shape (69, 6, 8)"),
        (_broken(pixels=LANDSAT.pixels + 1j), "source landsat: pixels are complex64"),
        (_broken(pixels=LANDSAT.pixels[:, :5]), "source landsat: pixels have shape (69, 5, 8, 7), expected (69, 6, 8"),
        (_broken(valid=LANDSAT.valid[..., :2]), "source landsat: the valid-pixel mask is bool (69, 6, 8, 2)"),
        (_broken(valid=LANDSAT.valid.astype(np.uint8)), "source landsat: the valid-pixel mask is uint8"),
        (_broken(time_ms=LANDSAT.time_ms.astype(np.float64)), "source landsat: times are float64"),
        (_broken(time_ms=LANDSAT.time_ms[::-1]), "source landsat: frame 1 was acquired before frame 0: sort them"),
        (_broken(time_ms=LANDSAT.time_ms * 1_000_000), "source landsat: frames have times that are no epoch"),
        (_broken(metadata=LANDSAT.metadata[1:]), "source landsat: metadata have shape (68, 0)"),
        (_broken(no_data="0"), "source landsat: no data is '0', expected a number"),
        (
            replace(SITE, series={"sentinel1": replace(SITE.series["sentinel1"], metadata=NAN_FACTS)}),
            "source sentinel1: metadata are float64, expected finite numbers",
        ),
        (replace(SITE, labels=np.zeros((6, 7), np.uint8)), "its labels are uint8 (6, 7), expected uint8 of (6, 8)"),
        (replace(SITE, labels=np.zeros((6, 8))), "its labels are float64"),
        (replace(SITE, text=replace(SITE.text, row=SITE.text.row + 6)), "source text: a point lies outside of the"),
        (replace(SITE, text=replace(SITE.text, row=SITE.text.row * 1.0)), "source text: row is float64"),
        (replace(SITE, text=replace(SITE.text, column=SITE.text.column[1:])), "source text: column is int64"),
        (replace(SITE, text=replace(SITE.text, period_ms=SITE.text.period_ms[:, ::-1])), "ends before it begins"),
        (replace(SITE, text=replace(SITE.text, sentence=SITE.text.sentence * np.nan)), "holds what is no number"),
        (replace(SITE, text=replace(SITE.text, words=("one",) * 99)), "words are of 99 points, expected"),
    ],
)
def test_invalid_site_error_names_it(site, sentence):
    assert sentence in error_message(validate_site, site)
    assert sentence in error_message(encode, site)
    assert error_message(validate_site, site).startswith("site small")


def _with_header(change) -> bytes:
    """Return the blob with its header changed by a function."""
    end = 8 + int.from_bytes(BLOB[:8], "little")
    header = json.loads(BLOB[8:end])
    changed = change(header)
    text = json.dumps(header if changed is None else changed).encode()
    return len(text).to_bytes(8, "little") + text + BLOB[end:]


def _entry(**values: Any) -> bytes:
    return _with_header(lambda header: header["landsat/pixels"].update(values))


def _attributes(**values: Any) -> bytes:
    def change(header) -> None:
        attributes = json.loads(header["__metadata__"]["site"])
        header["__metadata__"]["site"] = json.dumps(attributes | values)

    return _with_header(change)


def _without(*names: str) -> bytes:
    return _with_header(lambda header: {name: entry for name, entry in header.items() if name not in names})


PIXELS = LANDSAT.pixels.shape
HOSTILE = {
    "nothing": b"",
    "a short header length": BLOB[:7],
    "a header of no length": bytes(8) + BLOB[8:],
    "a header longer than the blob": (2**40).to_bytes(8, "little") + BLOB[8:],
    "a header of 2^64 bytes": b"\xff" * 8 + BLOB[8:],
    "a blob cut in its header": BLOB[:100],
    "a blob cut in its tensors": BLOB[:-1],
    "no JSON": BLOB[:8] + b"[" + BLOB[9:],
    "not UTF-8": BLOB[:8] + b"\xff" + BLOB[9:],
    "JSON without end": (10**5).to_bytes(8, "little") + b"[" * 10**5,
    "a list": _with_header(lambda header: [1, 2]),
    "a number": _with_header(lambda header: 7),
    "null": _with_header(lambda header: [None]),
    "no metadata": _without("__metadata__"),
    "metadata of text": _with_header(lambda header: header.update(__metadata__="site")),
    "no site": _with_header(lambda header: header.update(__metadata__={})),
    "a site that is no JSON": _with_header(lambda header: header.update(__metadata__={"site": "{"})),
    "a site that is a number": _with_header(lambda header: header.update(__metadata__={"site": "3"})),
    "an entry that is a list": _with_header(lambda header: header.update({"landsat/pixels": [1]})),
    "a tensor of no source": _with_header(lambda header: header.update({"odd": header["landsat/pixels"]})),
    "no pixels": _without("landsat/pixels"),
    "no times": _without("landsat/time_ms"),
    "an unknown dtype": _entry(dtype="F128"),
    "a dtype that is a list": _entry(dtype=["F32"]),
    "a wider dtype": _entry(dtype="F64"),
    "a negative axis": _entry(shape=[-PIXELS[0], -PIXELS[1], *PIXELS[2:]]),
    "an axis of text": _entry(shape=["69", *PIXELS[1:]]),
    "an axis with a fraction": _entry(shape=[69.0, *PIXELS[1:]]),
    "an axis of truth": _entry(shape=[True, *PIXELS[1:]]),
    "a huge axis": _entry(shape=[2**62, *PIXELS[1:]]),
    "huge axes and one of 0": _entry(shape=[2**62, 2**62, 0, 2**62], data_offsets=[0, 0]),
    "an axis of infinity": _entry(shape=[float("inf"), *PIXELS[1:]]),
    "an axis of NaN": _entry(shape=[float("nan"), *PIXELS[1:]]),
    "thousands of axes": _entry(shape=[1] * 5_000),
    "no axes": _entry(shape=[], data_offsets=[0, 4]),
    "one axis": _entry(shape=[int(np.prod(PIXELS))]),
    "fewer frames": _entry(shape=[1, *PIXELS[1:]], data_offsets=[0, int(np.prod(PIXELS[1:])) * 4]),
    "negative offsets": _entry(data_offsets=[-8, LANDSAT.pixels.nbytes - 8]),
    "offsets beyond the end": _entry(data_offsets=[2**60, 2**60 + LANDSAT.pixels.nbytes]),
    "offsets the wrong way": _entry(data_offsets=[100, 0]),
    "three offsets": _entry(data_offsets=[0, 1, 2]),
    "offsets of text": _entry(data_offsets=["0", "8"]),
    "a grid of text": _attributes(shape="24"),
    "a grid of one side": _attributes(shape=[24]),
    "a grid that is not the pixels'": _attributes(shape=[7, 8]),
    "an empty grid": _attributes(shape=[0, 0]),
    "a negative grid": _attributes(shape=[-6, -8]),
    "a huge grid": _attributes(shape=[2**40, 2**40]),
    "a transform of five": _attributes(transform=[1, 2, 3, 4, 5]),
    "a transform of text": _attributes(transform=["x"] * 6),
    "a transform without end": _attributes(transform=[10, 0, float("inf"), 0, -10, 0]),
    "a support of one": _attributes(support=[3]),
    "a support of text": _attributes(support=["a", "b"]),
    "a support of fractions": _attributes(support=[0.5, 1.5]),
    "a support that ends before": _attributes(support=[2, 1]),
    "no data of text": _attributes(no_data={"sentinel2": "zero"}),
    "no data of truth": _attributes(no_data={"sentinel2": True}),
    "no data as a list": _attributes(no_data=[0]),
    "too few words": _attributes(words=["one"]),
    "words that are a number": _attributes(words=3),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_lying_blob_error_names_the_record_and_allocates_little(what):
    tracemalloc.start()
    sentence = error_message(decode, HOSTILE[what], "planet: training record 7")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sentence.startswith("planet: training record 7: ")
    assert peak < 2**22


def test_one_pixel_claimed_for_the_whole_earth_is_refused():
    small = _site(weather=_series(np.ones((1, 1, 1, 1), np.float32)))
    blob = encode(small)
    assert b'\\"shape\\": [1, 1]' in blob
    wide = blob.replace(b'\\"shape\\": [1, 1]', b'\\"shape\\": [9999999, 9999999]')
    length = int.from_bytes(blob[:8], "little") + len(wide) - len(blob)
    sentence = error_message(decode, length.to_bytes(8, "little") + wide[8:], "record 0")
    assert "its grid is (9999999, 9999999)" in sentence


def test_changed_header_gives_a_record_or_a_plain_error():
    """With random bytes in the header, whatever still decodes is a site whose arrays can be read."""
    rng = np.random.default_rng(0)
    end = 8 + int.from_bytes(BLOB[:8], "little")
    for _ in range(3_000):
        changed = bytearray(BLOB)
        for position in rng.integers(end, size=rng.integers(1, 4)).tolist():
            changed[position] = rng.choice(np.frombuffer(b'0123456789[]{}",:-.eENITnull\x00\xff\x80', np.uint8))
        with suppress(ValueError):  # any other exception fails
            site = decode(bytes(changed), "record 3")
            validate_site(site)
            for series in site.series.values():
                series.pixels[:, -1:, -1:].tobytes()
