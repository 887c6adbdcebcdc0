"""Tests of the map's server over a socket: tiles, clicks, and nothing else."""

import io
import json
import threading
from http.client import HTTPConnection
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from matplotlib.image import imread

from aef_jax.inference.field import ArrayField
from aef_jax.serve.field_maps import FieldMaps
from tests.aef_jax.serve.test_field_map import tile_of
from tests.support.data.two_halves import degrees, two_halves, write_geotiff
from tests.support.refusals import error_message

pytest.importorskip("xstatic", reason="Leaflet is in the optional extra serve")
pytest.importorskip("pyproj", reason="pyproj is in the optional extra geo")
LON, LAT = degrees(10, 5)
ZOOM = 17


@pytest.fixture(scope="module")
def url():
    """Serve a field, and the same a year later with its halves exchanged."""
    from aef_jax.serve.server import FieldServer

    first = two_halves()
    second = ArrayField(first.info._replace(period=(1577836800000, 1609459200000)), first.vectors[:, ::-1])
    with FieldServer(FieldMaps([("2019", first), ("2020", second)]), ("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


def get(address: str, **headers: str) -> bytes:
    with urlopen(Request(address, headers=headers), timeout=30) as answer:
        return answer.read()


def tile(url: str, field: int, words: str = "") -> np.ndarray:
    """Return the pixel of a tile that shows row 10, column 5."""
    column, row = tile_of(LON, LAT, ZOOM)
    pixels = imread(io.BytesIO(get(f"{url}tiles/{field}/{ZOOM}/{column}/{row}.png{words}")))
    assert pixels.shape == (256, 256, 4)
    fractions = [int(256 * (value % 1)) for value in _tile_position()]
    return pixels[fractions[1], fractions[0]]


def _tile_position() -> tuple[float, float]:
    return tuple(index / 256 for index in tile_of(LON, LAT, ZOOM + 8))


def test_the_page_lists_periods_and_bounds(url):
    assert b"leaflet.js" in get(url)
    assert len(get(f"{url}leaflet.js")) > 100_000
    assert b".leaflet-tile" in get(f"{url}leaflet.css")
    description = json.loads(get(f"{url}map.json"))
    assert description["periods"] == ["2019", "2020-01-01 to 2021-01-01"]
    west, south, east, north = description["bounds"]
    assert west < degrees(0, 0)[0] < degrees(0, 29)[0] < east
    assert south < degrees(19, 0)[1] < degrees(0, 0)[1] < north


def test_tiles_are_colors_or_the_similarity_to_a_click(url):
    assert tile(url, 0)[3] == 1
    assert np.abs(tile(url, 0) - tile(url, 1)).max() == 1, "halves have the extreme colors of the first component"
    viridis = {1: [253, 231, 37], 0: [68, 1, 84]}
    query = f"?lon={LON}&lat={LAT}&field=0"
    for field, similarity in ((0, 1), (1, 0)):
        np.testing.assert_allclose(255 * tile(url, field, query)[:3], viridis[similarity], atol=1)
    assert json.loads(get(f"{url}point{query}")) == {"similarities": [1, 0], "lowest": 0}
    for words in ("", query):
        far = imread(io.BytesIO(get(f"{url}tiles/0/3/0/0.png{words}")))
        assert far[..., 3].max() == 0


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("point?lon=0&lat=0&field=0", 400, "the field has no data at lon 0.00000, lat 0.00000"),
        ("point", 400, "the address has no lon, lat and field"),
        ("point?lon=nan&lat=0&field=0", 400, "lon is 'nan'"),
        ("point?lon=1&lat=1&field=7", 400, "expected 0 to 1"),
        ("tiles/0/3/9/0.png", 404, "no such address"),
        ("tiles/2/3/0/0.png", 404, "no such address"),
        ("tiles/0/23/0/0.png", 404, "no such address"),
        ("server.py", 404, "no such address"),
        ("../server.py", 404, "no such address"),
        ("%2e%2e/%2e%2e/etc/passwd", 404, "no such address"),
        ("leaflet/leaflet.js", 404, "no such address"),
        ("//etc/passwd", 404, "no such address"),
    ],
)
def test_other_addresses_get_a_sentence(url, path, status, sentence):
    with pytest.raises(HTTPError) as error:
        get(url + path)
    with error.value as answer:
        assert answer.code == status
        assert sentence in answer.read().decode()


def test_pages_of_the_web_cannot_ask_a_local_server(url):
    with pytest.raises(HTTPError) as error:
        get(url, Host="evil.example:8000")
    with error.value as answer:
        assert answer.code == 400
    host, port = url.removeprefix("http://").strip("/").split(":")
    connection = HTTPConnection(host, int(port), timeout=30)
    connection.request("POST", "/")
    assert connection.getresponse().status == 501
    connection.close()


def test_mistakes_are_told_in_a_sentence(tmp_path, mistake):
    write_geotiff(tmp_path / "field.tif", two_halves())
    assert "--port is 70000" in mistake("serve", "field.tif", "--port", "70000")
    (tmp_path / "void").mkdir()
    assert "void: it holds no field" in mistake("serve", "void")
    assert "cannot listen at 192.0.2.1" in mistake("serve", "field.tif", "--host", "192.0.2.1")
    narrow = ArrayField(two_halves().info._replace(embed_dim=4), two_halves().vectors[..., :4])
    assert "vectors of [4, 8] numbers" in error_message(FieldMaps, [("a", two_halves()), ("b", narrow)])
