"""The map in a real browser: colors, a click that searches, the slider over periods."""

import threading

import numpy as np
import pytest
from matplotlib.image import imread

from aef_jax.inference.field import ArrayField
from aef_jax.serve.field_maps import FieldMaps
from tests.aef_jax.serve.browser import CHROMIUM, open_browser
from tests.support.data.two_halves import two_halves

pytest.importorskip("xstatic", reason="Leaflet is in the optional extra serve")
LEFT, RIGHT, ROW = 315, 395, 300
"""Pixels of the window on either side of the border of the two halves."""
YELLOW, PURPLE = [253, 231, 37], [68, 1, 84]
"""Similarities of 1 and 0."""


@pytest.fixture
def page(tmp_path):
    """Open the map of a field, and of the same with its halves exchanged."""
    from aef_jax.serve.server import FieldServer

    first = two_halves(60, 60)
    second = ArrayField(first.info, first.vectors[:, ::-1])
    with FieldServer(FieldMaps([("2019", first), ("2020", second)]), ("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with open_browser(tmp_path / "profile") as page:
                page.open(server.url)
                yield page
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_click_draws_the_similarity(page, tmp_path):
    def colors(address: str) -> np.ndarray:
        """Wait for the tiles of an address, and return the colors of the two halves."""
        page.wait_for(f"(document.body?.dataset.drawn || '').split('lon=')[0] === 'tiles/{address}'")
        page.wait_for("[...document.querySelectorAll('.leaflet-tile')].every((t) => t.style.opacity === '1')")
        page.screenshot(tmp_path / "map.png")
        return np.rint(255 * imread(tmp_path / "map.png")[ROW, [LEFT, RIGHT], :3]).astype(int)

    painted = colors("0/{z}/{x}/{y}.png")
    assert np.abs(painted[0] - painted[1]).max() > 200
    page.click(LEFT, ROW)
    np.testing.assert_allclose(colors("0/{z}/{x}/{y}.png?"), [YELLOW, PURPLE], atol=2)
    assert page.evaluate("get('where').textContent").startswith("Similarity to lon 4.42")
    bars = page.evaluate("[...document.querySelectorAll('#chart title')].map((t) => t.textContent)")
    assert bars == ["2019: 1", "2020: 0"]
    page.evaluate("get('period').value = 1; get('period').dispatchEvent(new Event('input')); 1")
    np.testing.assert_allclose(colors("1/{z}/{x}/{y}.png?"), [PURPLE, YELLOW], atol=2)
    assert page.evaluate("get('name').textContent") == "2020"
    page.click(100, 500)
    page.wait_for("get('message').textContent.includes('the field has no data at')")
    page.evaluate("get('clear').click(); 1")
    np.testing.assert_array_equal(colors("1/{z}/{x}/{y}.png"), painted[::-1])
    assert [error for error in page.errors if "400 (Bad Request)" not in error] == []
