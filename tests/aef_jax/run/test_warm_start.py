"""A new run copies the arrays of another that fit, and lists the others (row 1 of the users' cases)."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from flax.traverse_util import flatten_dict

from aef_jax.run.checkpoint import restore_params
from aef_jax.run.folder import RunFolder
from aef_jax.run.warm_start import plan_warm_start, read_warm_start, save_warm_start, warm_state
from aef_jax.sharding.mesh import make_mesh
from aef_jax.training.step import init_state
from configs.config import Config
from configs.sources import LANDSAT, SENTINEL1, SENTINEL2, TEXT
from tests.support.converting import SMALLEST
from tests.support.refusals import error_message
from tests.support.training_run import STEP, write_training_run

pytestmark = [pytest.mark.usefixtures("quick_compiles"), pytest.mark.slow]
OTHER: Config = replace(
    SMALLEST,
    sources=(SENTINEL2, replace(LANDSAT, bands=(*LANDSAT.bands[1:], LANDSAT.bands[0])), SENTINEL1, TEXT),
    data=replace(SMALLEST.data, tile_side=16),
    model=replace(SMALLEST.model, text_width=12),
)
"""Landsat with its bands in another order, no NLCD, another width of text, and a new source."""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return write_training_run(tmp_path_factory.mktemp("warm") / "run")


def flat(params) -> dict[str, np.ndarray]:
    return {".".join(path): np.asarray(leaf) for path, leaf in flatten_dict(nnx.to_pure_dict(params)).items()}


def test_arrays_that_fit_are_copied_and_the_others_are_fresh(run):
    mesh = make_mesh(OTHER.mesh)
    plan = plan_warm_start(OTHER, run)
    saved = flat(restore_params(RunFolder(run).checkpoints, SMALLEST))
    start = init_state(OTHER, mesh)
    fresh = flat(start.params)
    state = warm_state(start, plan, mesh)
    for name, array in flat(state.params).items():
        is_new = name.split(".")[1] in ("landsat", "sentinel1") or name == "text_head.first.kernel"
        assert np.array_equal(array, (fresh if is_new else saved)[name]), name
        assert (name in plan.fresh) == is_new != (name in plan.copied)
    assert plan.fresh["source_encoders.sentinel1.project.kernel"] == "not there"
    assert plan.fresh["source_encoders.landsat.project.kernel"] == "another definition of the source there"
    assert plan.fresh["text_head.first.kernel"] == "of shape (448, 512) there, (76, 512) here"
    assert {name for name in plan.unused if "nlcd" in name} == {name for name in saved if "nlcd" in name}
    assert int(state.step) == 0


def test_what_is_copied_and_fresh_is_listed(run):
    first, copied, fresh, unused = plan_warm_start(OTHER, run).lines()
    assert first == f"the weights are those of {run}, checkpoint {STEP}"
    assert "arrays are copied: decoders.sentinel2, encoder.analysis, encoder.blocks" in copied
    assert "source_encoders.sentinel1 (not there)" in fresh
    assert "decoders.landsat (another definition of the source there)" in fresh
    assert "decoders.nlcd" in unused


def test_a_run_keeps_the_weights_that_it_began_with(run, tmp_path):
    new = RunFolder(tmp_path / "new")
    save_warm_start(new, SMALLEST, run)
    assert read_warm_start(new) == (str(run), STEP)
    save_warm_start(new, SMALLEST, None)
    assert read_warm_start(new) is None, "the run had not begun"
    save_warm_start(new, SMALLEST, run)
    new.start(SMALLEST, RunFolder(run).read_normalization())
    for init_from in (run, None):
        save_warm_start(new, SMALLEST, init_from)
        assert read_warm_start(new) == (str(run), STEP)
    refused = error_message(save_warm_start, new, SMALLEST, tmp_path / "third")
    assert refused == f"{new.path} holds a run that began with other weights: give a new folder with --run"
    new.init_path.write_text(json.dumps({"run": 3}))
    assert "init.json names no checkpoint of another run" in error_message(read_warm_start, new)


def test_what_cannot_be_begun_with_is_refused(run, tmp_path):
    weights = tmp_path / "weights.safetensors"
    assert error_message(plan_warm_start, SMALLEST, weights) == (
        f"{weights} holds weights of PyTorch: make a run of them by aef-parity convert {weights} RUN"
    )
    assert "is not the folder of a run" in error_message(plan_warm_start, SMALLEST, tmp_path / "none")
    wide = replace(SMALLEST, model=replace(SMALLEST.model, d_precision=12, d_exchange=10, d_time=16, d_space=16))
    assert error_message(plan_warm_start, wide, run) == (
        f"{run}: no array of its encoder fits, expected a model of the same sizes: encoder.analysis.norm.bias is of"
        " shape (4,) there, (12,) here"
    )
