"""Data of another processing level than a run's training data are told, before the work."""

import json

import numpy as np
import pytest

from aef_jax.cli import main as cli
from aef_jax.data.store.normalization import Normalization
from aef_jax.run.data_levels import level_warning
from aef_jax.run.folder import RunFolder
from configs.presets import TINY
from tests.support.data.small_dataset import small_sites, write


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A run whose checkpoint, without checksums as those of older programs, holds what the warning needs."""
    folder = RunFolder(tmp_path / "run")
    bands = {source.name: np.ones(source.channels) for source in TINY.input_sources}
    folder.start(TINY, Normalization(bands, bands))
    record(folder, {"records": 3, "levels": {"sentinel2": "L2A", "landsat": "TOA"}})
    return folder


def record(run: RunFolder, data: dict | None) -> None:
    item = run.checkpoints / "5" / "run" / "metadata"
    item.parent.mkdir(parents=True, exist_ok=True)
    item.write_text(json.dumps({"version": 2, "data": data}))


def test_sources_of_other_levels_are_named(run):
    levels = {"sentinel2": "L1C", "landsat": "TOA", "sentinel1": "GRD"}
    assert level_warning(run.checkpoints, 5, levels, "mine") == (
        f"mine has other processing levels than the data that {run.path} was trained on: sentinel2 'L2A' (here 'L1C')"
    )
    assert level_warning(run.checkpoints, 5, {"landsat": "TOA"}, "mine") == "", "unknown levels are not compared"


@pytest.mark.parametrize("data", [None, {"records": 3}])
def test_a_run_of_unknown_levels_has_no_warning(run, data):
    record(run, data)
    assert level_warning(run.checkpoints, 5, {"sentinel2": "L1C"}, "mine") == ""


@pytest.mark.slow
def test_aef_embed_tells_other_levels_first(run, tmp_path, capsys):
    pytest.importorskip("rasterio", reason="rasterio is not installed: pip install aef[geo]")
    data = write(tmp_path / "other", small_sites(1), levels={"sentinel2": "L1C"})
    period = ("--period", "2018")
    assert cli.main(["embed", str(run.path), *period, "--data", str(data), "--site", "none", "-o", "field.tif"]) == 2
    warning, refused = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"aef: {data} has other processing levels than the data that {run.path} was trained on")
    assert refused.startswith(f"aef: {run.checkpoints / '5'} cannot be read"), "weights are read after it"
