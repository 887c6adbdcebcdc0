"""Nothing that a record's blob states is trusted: its errors name the record and allocate little."""

import json
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aef_jax.data.store.record import decode, encode, validate_site
from aef_jax.data.store.site import Series, Site
from configs.encodings.timecode import DAY_MS
from tests.support.data.small_site import START_MS, small_site
from tests.support.refusals import error_message

SITE = replace(
    small_site().window(slice(0, 6), slice(0, 8)),
    support=(START_MS, START_MS + 365 * DAY_MS),
    labels={"landcover": np.arange(48, dtype=np.uint8).reshape(6, 8)},
)
LANDSAT = SITE.series["landsat"]
BLOB = encode(SITE)


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
    weather = Series(
        np.ones((1, 1, 1, 1), np.float32), np.ones((1, 1, 1, 1), bool), np.array([START_MS]), np.zeros((1, 0))
    )
    blob = encode(Site("made", {"weather": weather}, "EPSG:32631", (10, 0, 0, 0, -10, 0)))
    assert b'\\"shape\\": [1, 1]' in blob
    wide = blob.replace(b'\\"shape\\": [1, 1]', b'\\"shape\\": [9999999, 9999999]')
    length = int.from_bytes(blob[:8], "little") + len(wide) - len(blob)
    sentence = error_message(decode, length.to_bytes(8, "little") + wide[8:], "record 0")
    assert "its grid is (9999999, 9999999)" in sentence


@pytest.mark.slow
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
                corner = series.pixels[:, -1:, -1:]
                assert len(corner.tobytes()) == corner.nbytes


@pytest.mark.parametrize("name", ["text/row", "glo30/time_ms"])
def test_a_number_in_the_place_of_a_list_is_refused(name):
    """Issue 19, hostile input: found by fuzzing."""
    text = SITE.text.select_points(np.arange(len(SITE.text)) == 0)
    blob = encode(replace(SITE, text=text))
    end = 8 + int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8:end])
    assert header[name]["shape"] == [1]
    header[name]["shape"] = []
    changed = json.dumps(header).encode()
    message = error_message(decode, len(changed).to_bytes(8, "little") + changed + blob[end:], "record 3")
    assert message.startswith("record 3: site small, source ")
