"""A run and a data set in the first formats are embedded with, checked, and trained on to the same numbers."""

import json
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from aef_jax.cli import main as cli
from aef_jax.data.loading.training_data import find_site, open_data
from aef_jax.inference.embed import CompiledEmbed
from aef_jax.inference.site import embed_site
from aef_jax.run.checkpoint import restore_params
from aef_jax.run.folder import RunFolder
from aef_jax.run.warm_start import plan_warm_start
from aef_jax.training.loop import train
from aef_jax.visualize.loss_curves import read_metrics
from configs.fields.embedder import Embedder
from configs.fields.periods import default_support
from parity.aef.model import abstract_jax
from parity.mapping.weights import to_torch
from tests.legacy.fixture import DATASET, EXPECTED, FINAL, FIXTURE, SAVED, STEPS, TOLERANCE, config_of, copied_run

pytestmark = pytest.mark.usefixtures("quick_compiles")
NEW_NAMES = {"skipped_in_a_row": "consecutive_skips"}
NEW_KINDS = {"heldout": "validation"}


def expected_metrics() -> list[dict]:
    """The records of the old code under the names of today."""
    renamed = ({NEW_NAMES.get(name, name): value for name, value in record.items()} for record in EXPECTED["metrics"])
    return [record | {"kind": NEW_KINDS.get(record["kind"], record["kind"])} for record in renamed]


def assert_final_params(run: RunFolder) -> None:
    config = run.read_config()
    params = jax.tree.map(np.asarray, restore_params(run.checkpoints, config))
    tensors, expected = to_torch(abstract_jax(config), params), load_file(FINAL)
    assert tensors.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(tensors[name], array, **TOLERANCE, err_msg=name)


ADDED_TERMS = {"examples_without_input", "examples_without_target"}
"""What older runs did not record."""


def assert_final_metrics(run: RunFolder) -> None:
    records = [record for record in read_metrics(run.metrics_path) if record["kind"] != "speed"]
    expected = expected_metrics()
    assert [(r["kind"], r["step"]) for r in records] == [(r["kind"], r["step"]) for r in expected]
    for record, old in zip(records, expected, strict=True):
        if record["step"] > SAVED:
            counts = ADDED_TERMS if record["kind"] == "train" else set()
            assert record.keys() == old.keys() | counts
        for name in old.keys() & record.keys() - {"kind", "gradient_norm"}:
            np.testing.assert_allclose(record[name], old[name], rtol=1e-3, atol=1e-5, err_msg=f"{name} {old['step']}")


def assert_best_is_of_either_format(run: RunFolder) -> None:
    """The lower of the old checkpoint's `heldout` and the new one's `validation` is the best."""
    scores = {r["step"]: r["reconstruction"] for r in expected_metrics() if r["kind"] == "validation"}
    best = min(scores, key=lambda step: scores[step])
    restored = restore_params(run.checkpoints, run.read_config(), which="best")
    (run.checkpoints / str(next(step for step in scores if step != best))).rename(run.path / "other")
    expected = restore_params(run.checkpoints, run.read_config())
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, restored, expected)))


@pytest.mark.slow
def test_the_old_run_gives_the_same_embedding_field():
    run = RunFolder(FIXTURE / "run")
    config, embed = config_of(run), CompiledEmbed(config_of(run))
    period = tuple(EXPECTED["period"])
    for which in ("latest", "best"):
        params = embed.place(restore_params(run.checkpoints, config, which=which))
        embedder = Embedder(config, run.read_normalization(), partial(embed, params))
        field = embed_site(embedder, find_site(DATASET, None), period, default_support(period, config))
        np.testing.assert_allclose(field[::5, ::5], np.array(EXPECTED["field"]), **TOLERANCE)


@pytest.mark.slow
def test_the_old_run_trains_on_to_the_same_end(tmp_path):
    run = copied_run(tmp_path / "run")
    config = config_of(run)
    assert train(config, run, open_data(config, run.read_normalization())) == STEPS
    assert_final_params(run)
    assert_final_metrics(run)
    item = json.loads((run.checkpoints / str(STEPS) / "run" / "metadata").read_text())
    assert item["version"] == 2
    assert set(json.loads((run.checkpoints / str(STEPS) / "metrics" / "metrics").read_text())) == {"validation"}
    assert_best_is_of_either_format(run)


@pytest.mark.slow
def test_training_anew_on_the_old_data_set_gives_the_same_run(tmp_path):
    config = config_of(RunFolder(FIXTURE / "run"))
    run = RunFolder(tmp_path / "run")
    assert train(config, run, open_data(config)) == STEPS
    assert_final_params(run)
    assert_final_metrics(run)


def test_a_new_run_adds_to_the_old_model_what_it_lacks():
    """The old run has architecture 1, of which every array fits architecture 2."""
    config = RunFolder(FIXTURE / "run").read_config()
    assert config.model.architecture == 1
    plan = plan_warm_start(replace(config, model=replace(config.model, architecture=2)), FIXTURE / "run")
    assert plan.fresh == {"source_encoders.sentinel2.missing_bands.kernel": "not there"}
    assert plan.unused == []
    assert "1 arrays are fresh: source_encoders.sentinel2.missing_bands.kernel (not there)" in list(plan.lines())[2]


def test_the_old_data_set_passes_its_check(capsys):
    assert cli.main(["data", "check", str(DATASET)]) == 0
    assert "problem" not in capsys.readouterr().err


def test_kinds_of_old_metrics_are_read_under_new_names():
    kinds = [record["kind"] for record in read_metrics(FIXTURE / "sample_metrics.jsonl")]
    assert kinds == 2 * ["train", "validation", "validation_dates"]
