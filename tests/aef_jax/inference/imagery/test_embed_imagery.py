"""Fields of an area straight from files: every pixel, whatever the parts, the workers and the interruptions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from aef_jax.data.store.normalization import Normalization
from aef_jax.files.resumable import Part
from aef_jax.inference.imagery.embed_imagery import ImageryFields
from aef_jax.inference.request import Request, Weights
from aef_jax.inference.target import Target
from configs.fields.embedder import Embedder
from configs.fields.frames import read_period
from configs.presets import TINY
from tests.aef_jax.inference.imagery.test_areas import ring_around
from tests.support.data.scenes import CONFIG, NORTH, WEST, scenes, write_tiffs
from tests.support.refusals import error_message

pytestmark = pytest.mark.slow

SETTINGS = replace(TINY, data=replace(TINY.data, tile_side=16))
YEAR, SPRING = read_period(2023), read_period(("2023-02-01", "2023-06-01"))
DIRECTIONS = np.random.default_rng(1).normal(size=(5, 64))
STATISTICS = Normalization({"sentinel2": np.full(5, 6.0)}, {"sentinel2": np.ones(5)})
INSIDE = ring_around(32631, WEST + 60, NORTH - 500, WEST + 580, NORTH - 40)
"""An area of 46 x 52 pixels in the scenes."""


class PixelModel:
    """A model of single pixels: the sum over time, times matrices; the second period has the opposite vector."""

    def __init__(self, stop_after: int | None = None):
        self.tiles, self.stop_after = 0, stop_after

    def __call__(self, frames, periods):
        self.tiles += len(periods)
        if self.stop_after is not None and self.tiles > self.stop_after:
            raise KeyboardInterrupt
        sums = np.einsum("bnhwc,cd->bhwd", frames["sentinel2"].pixels, DIRECTIONS)
        sums[~sums.any(axis=-1)] = DIRECTIONS[0]  # where no frame shows a pixel, a model has some vector too
        sums /= np.linalg.norm(sums, axis=-1, keepdims=True)
        return np.stack([sums if index % 2 == 0 else -sums for index in range(periods.shape[1])], axis=1)


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("imagery")
    text = CONFIG.format(files=write_tiffs(folder / "tiffs"), unit="reflectance * 10000")
    (folder / "build.toml").write_text(text)
    return folder / "build.toml"


def fields(config: Path, output: Path, model: PixelModel, polygons=(INSIDE,), periods=(YEAR,)) -> ImageryFields:
    weights = Weights(Embedder(SETTINGS, STATISTICS, model), "made", 4)
    target = Target(output, "cog", "float32", stac=False)
    return ImageryFields(Request(weights, list(periods), YEAR, target), config, polygons)


def expected() -> np.ndarray:
    """Return the vectors of all pixels of the scenes."""
    values = np.moveaxis(scenes(), 1, -1)
    z = np.where(values > 0, np.log1p(values.astype(np.float64)) - 6, 0)
    sums = np.einsum("nhwc,cd->hwd", np.clip(z, -6, 6), DIRECTIONS)
    return sums / np.linalg.norm(sums, axis=-1, keepdims=True)


def read(path: Path) -> tuple[np.ndarray, rasterio.Affine]:
    with rasterio.open(path) as file:
        return np.moveaxis(file.read(), 0, -1), file.transform


@pytest.mark.parametrize("workers", [0, 1])
def test_an_area_has_the_vectors_of_its_pixels(config, tmp_path, workers):
    work = fields(config, tmp_path / "out", PixelModel(), periods=(YEAR, SPRING))
    assert work.compute(workers) == []
    year, spring = work.write()
    assert [year.name, spring.name] == [
        "32631_500060_5599960_2023.tif",
        "32631_500060_5599960_2023-02-01_2023-06-01.tif",
    ]
    vectors, transform = read(year)
    assert tuple(transform)[:6] == (10, 0, WEST + 60, 0, -10, NORTH - 40)
    np.testing.assert_allclose(vectors, expected()[4:50, 6:58], atol=2e-6)
    np.testing.assert_array_equal(read(spring)[0], -vectors)
    assert not work.folder.exists()
    assert year.with_suffix(".png").exists()


def test_work_that_was_stopped_goes_on_to_the_same_bytes(config, tmp_path):
    whole, stopped, model = tmp_path / "whole.tif", tmp_path / "stopped.tif", PixelModel()
    work = fields(config, whole, model)
    work.compute(0)
    work.write()
    with pytest.raises(KeyboardInterrupt):
        fields(config, stopped, PixelModel(stop_after=16)).compute(0)
    assert not stopped.exists()
    rest = PixelModel()
    work = fields(config, stopped, rest)
    work.compute(0)
    work.write()
    assert 0 < rest.tiles < model.tiles
    assert stopped.read_bytes() == whole.read_bytes()


def test_parts_give_the_bytes_of_one_piece(config, tmp_path):
    work = fields(config, tmp_path / "whole.tif", PixelModel())
    work.compute(0)
    work.write()
    for index in (3, 1, 2):
        fields(config, tmp_path / "parts.tif", PixelModel()).compute(0, Part(index, 3))
    last = PixelModel()
    work = fields(config, tmp_path / "parts.tif", last)
    work.compute(0)
    work.write()
    assert last.tiles == 0
    assert (tmp_path / "parts.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_pixels_that_no_file_shows_are_no_data(config, tmp_path):
    """The area reaches beyond the scenes; some of its tiles have no frame at all."""
    beyond = ring_around(32631, WEST - 400, NORTH - 100, WEST + 200, NORTH + 100)
    work = fields(config, tmp_path / "out.tif", PixelModel(), [beyond])
    work.compute(0)
    (path,) = work.write()
    vectors, _ = read(path)
    assert vectors.shape == (20, 60, 64)
    shown = np.zeros((20, 60), bool)
    shown[10:, 40:] = True
    np.testing.assert_array_equal(np.isfinite(vectors).all(axis=-1), shown)
    np.testing.assert_allclose(vectors[10:, 40:], expected()[:10, :20], atol=2e-6)


def test_impossible_requests_are_told(config, tmp_path):
    far = fields(
        config, tmp_path / "far.tif", PixelModel(), [ring_around(32631, 400_000, 5_500_000, 400_100, 5_500_100)]
    )
    far.compute(0)
    assert "no file shows the area in the support period 2023-01-01..2024-01-01" in error_message(far.write)
    two = [INSIDE, ring_around(32632, 400_000, 5_500_000, 400_100, 5_500_100)]
    said = error_message(fields, config, tmp_path / "two.tif", PixelModel(), two)
    assert said.endswith("two.tif is for one field, and there are 2: expected a folder")
    fields(config, tmp_path / "other.tif", PixelModel())
    said = error_message(fields, config, tmp_path / "other.tif", PixelModel(), [INSIDE[:1]], (SPRING,))
    assert "other.tif.embedding is of another model, area, config or periods: remove it" in said
