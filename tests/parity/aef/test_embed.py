"""`aef-parity embed` passes if the weights are the same in both frameworks, and fails if they are not."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from aef_jax.data.store.site import Series, Site, to_ms
from aef_jax.data.store.statistics import normalization_of
from aef_jax.inference.readers.open_field import open_field
from aef_jax.run.checkpoint import save_params
from configs.presets import DEBUG
from configs.serialization.config_json import to_json
from configs.sources import SENTINEL2
from parity.aef.conversion.metadata import CONFIG
from parity.aef.embed import torch_embedder
from parity.aef.model import abstract_jax, abstract_torch
from parity.capture.tensors import torch_specs
from parity.cli import main
from parity.mapping.weights import to_jax
from tests.support.data.small_dataset import write

pytestmark = pytest.mark.slow

SMALLEST = replace(
    DEBUG,
    sources=(SENTINEL2,),
    model=replace(
        DEBUG.model, d_precision=4, d_exchange=6, d_time=8, d_space=8, block_loop="scan", num_blocks=1, embed_dim=64
    ),
)

PLACES = [("west", 5e5, 24), ("east", 6e5, 16)]
"""Name, easting in meters and side in pixels."""


def sample_site() -> Site:
    generator = np.random.default_rng(0)
    pixels = generator.uniform(100, 3000, (3, 24, 36, 5)).astype(np.float32)
    days = np.array([to_ms(day) for day in ("2018-02-03", "2018-06-01", "2018-09-09")])
    series = Series(pixels, np.ones(pixels.shape, bool), days, np.zeros((3, 0), np.float32))
    return Site("somewhere", {"sentinel2": series}, "EPSG:32635", (10, 0, 5e5, 0, -10, 5e6))


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    """A run, with its converted weights in the same folder."""
    monkeypatch.setattr("aef_jax.data.loading.training_data.load_sample", sample_site)
    generator = np.random.default_rng(1)
    specs = torch_specs(abstract_torch(SMALLEST))
    tensors = {name: generator.normal(0, 0.3, spec.shape).astype(spec.dtype) for name, spec in specs.items()}
    save_file(tensors, tmp_path / "same.safetensors", metadata={CONFIG: to_json(SMALLEST)})
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(to_json(SMALLEST))
    normalization_of([sample_site()], SMALLEST.sources).save(run / "normalization.json")
    save_params(run / "checkpoints", to_jax(abstract_jax(SMALLEST), tensors))
    return run


def embed(run: Path, weights: Path, *options: str) -> int:
    dates = ["--period", "2018"]
    return main(["embed", str(run), str(weights), *dates, "-o", str(run.with_name("field.tif")), *options])


def test_the_same_weights_make_the_same_field(run, capsys):
    assert embed(run, run.with_name("same.safetensors")) == 0
    printed = capsys.readouterr().out
    assert float(re.search(r"differ by at most (\S+), within 1e-05", printed)[1]) < 2e-6
    opened = open_field(str(run.with_name("field.tif")))
    field = opened.read(slice(0, 24), slice(0, 36))
    assert field.shape == (24, 36, 64)
    assert opened.info.crs == "EPSG:32635"
    assert field.std(axis=(0, 1)).max() > 0.01  # the vectors differ


def test_the_runs_own_data_are_embedded(run, tmp_path, capsys):
    """Finding 3: the sample was embedded, whatever the run was trained on."""
    west, east = (
        replace(sample_site(), name=name, transform=(10, 0, x, 0, -10, 5e6)).window(slice(0, side), slice(0, side))
        for name, x, side in PLACES
    )
    path = write(tmp_path / "data", [east], [west], SMALLEST.sources)
    config = replace(SMALLEST, data=replace(SMALLEST.data, path=str(path)))
    (run / "config.json").write_text(to_json(config))
    weights = run.with_name("same.safetensors")
    for options, (_, easting, side) in zip(([], ["--site", "east"]), PLACES, strict=True):
        assert embed(run, weights, *options) == 0
        info = open_field(str(run.with_name("field.tif"))).info
        assert info.shape == (side, side)
        assert info.transform[2] == easting
    moved = path.rename(tmp_path / "moved")
    assert embed(run, weights, "--data", str(moved)) == 0
    capsys.readouterr()
    assert embed(run, weights, "--data", str(moved), "--site", "north") == 2
    assert "there is no site 'north'" in capsys.readouterr().err


def test_different_weights_fail(run, capsys):
    tensors = load_file(run.with_name("same.safetensors"))
    tensors["summary.value.bias"][0] += 0.1
    save_file(tensors, run.with_name("other.safetensors"), metadata={CONFIG: to_json(SMALLEST)})
    assert embed(run, run.with_name("other.safetensors")) == 1
    assert "more than 1e-05" in capsys.readouterr().out


def test_embeddings_without_numbers_are_refused(run, monkeypatch, capsys):
    def lossy(model):
        def embed(*arguments):
            field = np.array(torch_embedder(model)(*arguments))
            field[..., : field.shape[-2] // 2, :] = np.nan
            return field

        return embed

    monkeypatch.setattr("parity.aef.embed.torch_embedder", lossy)
    assert embed(run, run.with_name("same.safetensors")) == 2
    assert "pixels have no finite embedding" in capsys.readouterr().err


def test_ctrl_c_prints_no_traceback(run, monkeypatch, capsys):
    def interrupted(model):
        raise KeyboardInterrupt

    monkeypatch.setattr("parity.aef.embed.torch_embedder", interrupted)
    assert embed(run, run.with_name("same.safetensors")) == 130
    assert capsys.readouterr().err == "aef-parity: interrupted\n"


def test_weights_of_another_model_are_refused(run, capsys):
    other = replace(SMALLEST, model=replace(SMALLEST.model, kappa=1.0))
    tensors = load_file(run.with_name("same.safetensors"))
    save_file(tensors, run.with_name("other.safetensors"), metadata={CONFIG: to_json(other)})
    assert embed(run, run.with_name("other.safetensors")) == 2
    assert "is of another model or other sources than" in capsys.readouterr().err
    assert not run.with_name("field.tif").exists()
