"""A run and its converted weights embed a user's arrays alike, in either framework, and as `aef embed` does."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import aef_jax
import aef_torch
from aef_jax.cli.main import main as aef
from aef_jax.data.store.statistics import normalization_of
from aef_jax.inference.readers.open_field import open_field
from aef_jax.inference.site import embed_site
from aef_jax.run.folder import RunFolder
from configs.fields.embedder import Embedder
from configs.fields.periods import Period
from parity.cli import main
from tests.support.converting import SMALLEST
from tests.support.data.small_dataset import write
from tests.support.data.small_site import small_site
from tests.support.refusals import error_message
from tests.support.training_run import write_training_run

pytestmark = pytest.mark.usefixtures("quick_compiles")
YEAR: Period = (1514764800000, 1546300800000)
TOLERANCE = 1e-5
"""Largest difference of components of unit vectors in float32, as in `aef-parity embed`."""


@pytest.fixture(scope="module")
def site():
    return small_site()


@pytest.fixture(scope="module")
def run(tmp_path_factory, site):
    """A run with random weights, and statistics that the site's values have."""
    folder = write_training_run(tmp_path_factory.mktemp("runs") / "run", scale=0.3)
    normalization_of([site], SMALLEST.input_sources).save(RunFolder(folder).normalization_path)
    return folder


@pytest.fixture(scope="module")
def weights(run):
    assert main(["convert", str(run), str(run.with_name("torch"))]) == 0
    return run.with_name("torch")


@pytest.fixture(scope="module")
def frames(site):
    """The user's own arrays, in no order of time."""
    return {name: (site.series[name].pixels[::-1], _times(site, name)[::-1]) for name in ("sentinel2", "landsat")}


def _times(site, name) -> np.ndarray:
    return site.series[name].time_ms.astype("datetime64[ms]")


@pytest.mark.slow
def test_a_run_embeds_arrays_as_aef_embed_does(run, site, frames):
    embedder = aef_jax.load_run(run)
    expected = embed_site(embedder, site, YEAR, YEAR)
    field = embedder.embed(frames, 2018, no_data={"sentinel2": 0})
    np.testing.assert_array_equal(field, expected)
    np.testing.assert_allclose(np.linalg.norm(field, axis=-1), 1, atol=1e-6)


@pytest.mark.slow
def test_both_frameworks_embed_arrays_alike(run, weights, frames):
    by_jax = aef_jax.load_run(str(run)).embed(frames, ("2018-01-01", "2018-07-01"), support=2018)
    by_torch = aef_torch.load_weights(weights).embed(frames, ("2018-01-01", "2018-07-01"), support=2018)
    assert np.abs(by_jax - by_torch).max() < TOLERANCE
    whole_year = aef_torch.load_weights(weights / "model.safetensors").embed(frames, 2018)
    assert np.abs(by_torch - whole_year).max() > 100 * TOLERANCE  # the valid period has an influence


@pytest.mark.slow
def test_aef_embed_computes_in_either_framework(run, weights, site, tmp_path, capsys):
    year = site.between(*YEAR)
    data = str(write(tmp_path / "data", [year], [replace(year, name="other")]))
    fields = {}
    for framework, path in (("jax", run), ("torch", weights)):
        output = str(tmp_path / f"{framework}.tif")
        options = ["--framework", framework, "--data", data, "--period", "2018", "--dtype", "float32", "-o", output]
        assert aef(["embed", str(path), *options]) == 0
        field = open_field(output)
        fields[framework] = field.read(*(slice(0, length) for length in field.info.shape))
    assert np.abs(fields["jax"] - fields["torch"]).max() < TOLERANCE
    assert aef(["embed", str(run), "--framework", "caffe", "--period", "2018", "-o", output]) == 2
    assert "framework 'caffe' is not installed, expected one of ['jax', 'torch']" in capsys.readouterr().err


@pytest.mark.slow
def test_xarray_in_gives_xarray_with_coordinates(run, site, frames):
    series = site.series["sentinel2"]
    grid = {"y": 5_600_000.0 - 10 * np.arange(24), "x": 500_000.0 + 10 * np.arange(24)}
    array = xarray.DataArray(
        series.pixels, {"time": _times(site, "sentinel2"), **grid}, ("time", "y", "x", "band")
    ).assign_coords(spatial_ref=xarray.DataArray(0, attrs={"crs_wkt": "WKT"}))
    embedder = aef_jax.load_run(run)
    field = embedder.embed({"sentinel2": array}, 2018)
    np.testing.assert_array_equal(field.values, embedder.embed({"sentinel2": frames["sentinel2"]}, 2018))
    assert (field.dims, field.embedding.values[[0, -1]].tolist()) == (("y", "x", "embedding"), ["A00", "A63"])
    np.testing.assert_array_equal(field.x, grid["x"])
    assert (field.spatial_ref.attrs["crs_wkt"], field.attrs["period_start"][:10]) == ("WKT", "2018-01-01")


@pytest.mark.slow
def test_an_embedder_lists_bands_and_units(run):
    inputs = aef_jax.load_run(run).inputs
    assert inputs["sentinel2"] == dict.fromkeys(["B2", "B3", "B4", "B8", "B11"], "reflectance * 10000")
    assert list(inputs) == ["sentinel2", "landsat"]


@pytest.mark.slow
def test_wrong_frames_are_refused_in_one_sentence(run, frames):
    embed = aef_jax.load_run(run).embed
    pixels, times = frames["sentinel2"]
    assert "frames are of ['spot'], expected some of ['landsat', 'sentinel2']" in error_message(
        embed, {"spot": frames["landsat"]}, 2018
    )
    assert "expected the unit reflectance * 10000" in error_message(embed, {"sentinel2": (pixels / 1e4, times)}, 2018)
    assert "sources lie on different grids" in error_message(
        embed, frames | {"sentinel2": (pixels[:, :16], times)}, 2018
    )
    assert "in the support period 2030-01-01..2031-01-01" in error_message(embed, frames, 2030)
    assert "the valid period 2018-01-01..2018-01-01 is empty" in error_message(
        embed, frames, ("2018-01-01", "2018-01-01")
    )


@pytest.mark.slow
def test_wrong_weights_are_refused_in_one_sentence(weights, tmp_path):
    with safe_open(weights / "model.safetensors", "np") as opened:
        metadata = opened.metadata()
    tensors = load_file(weights / "model.safetensors")

    def refusal(tensors: dict, metadata: dict) -> str:
        save_file(tensors, tmp_path / "odd.safetensors", metadata)
        return error_message(aef_torch.load_weights, tmp_path / "odd.safetensors")

    assert "carries no config" in refusal(tensors, {})
    assert "carries no normalization statistics" in refusal(tensors, {"aef_config": metadata["aef_config"]})
    assert "its tensors are not those of its config's model" in refusal(dict(list(tensors.items())[1:]), metadata)
    assert "not readable as safetensors" in error_message(aef_torch.load_weights, tmp_path / "missing.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../a.safetensors"}}))
    assert "expected the name of a file beside it" in error_message(aef_torch.load_weights, tmp_path)


def test_public_names_are_one_class():
    assert aef_jax.Embedder is aef_torch.Embedder is Embedder
    assert aef_jax.AlphaEarth.__name__ == aef_torch.AlphaEarth.__name__ == "AlphaEarth"
