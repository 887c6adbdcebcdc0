"""A run goes on from an older checkpoint, under other settings, or from the weights of another run."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import nnx
from flax.traverse_util import flatten_dict

from aef_jax.cli import main as cli
from aef_jax.run.checkpoint import restore_params
from aef_jax.run.folder import RunFolder
from aef_jax.run.lock import training_lock
from aef_jax.run.steps import checkpoint_steps
from aef_jax.visualize.loss_curves import read_metrics
from tests.aef_jax.conftest import BRIEF, STEPS
from tests.support.damage import DAMAGES
from tests.support.refusals import error_message

pytestmark = [pytest.mark.usefixtures("quick_compiles"), pytest.mark.slow]
MIDWAY = STEPS // 2
SHORT = {"steps": 3, "warmup_steps": 0, "weight_decay": 0.1, "seed": 1, "freeze": "encoder.*, *.key.kernel"}
"""Few steps in which all parameters would change."""


def params_of(run: RunFolder):
    return jax.tree.map(np.asarray, restore_params(run.checkpoints, BRIEF))


def are_equal(tree, other) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, tree, other)))


def test_a_run_goes_on_from_the_newest_whole_checkpoint(training, tmp_path, mistake, capsys):
    """Case 6: the sentence names the damage and what to go on from, and that gives the undisturbed end."""
    run = training.copied(tmp_path / "run")
    chunk = max((run.checkpoints / str(STEPS) / "params").rglob("*"), key=lambda path: path.stat().st_size)
    DAMAGES["flip"](chunk)
    message = mistake("train", run.path)
    assert message.startswith(f"aef: {chunk} is damaged: it has the checksum ")
    assert message.endswith(f"; the newest whole checkpoint is {MIDWAY}")
    assert cli.main(["train", str(run.path), "--checkpoint", str(MIDWAY)]) == 0
    assert checkpoint_steps(run.checkpoints) == [MIDWAY, STEPS]
    assert [path.name for path in run.set_aside.iterdir()] == [str(STEPS)]
    (line,) = run.changes_path.read_text().splitlines()
    assert json.loads(line) | {"time": ""} == {
        "time": "",
        "step": MIDWAY,
        "name": "checkpoint",
        "before": STEPS,
        "after": MIDWAY,
    }
    assert are_equal(params_of(run), params_of(training.run))


def test_a_second_training_in_a_folder_is_refused(training, tmp_path, mistake):
    """Case 16."""
    run = training.copied(tmp_path / "run")
    before = sorted(run.path.rglob("*"))
    with training_lock(run.path):
        assert "is being trained in by process" in mistake("train", run.path)
    assert sorted(run.path.rglob("*")) == before


def test_a_finished_run_is_extended_with_another_schedule(training, tmp_path, mistake, capsys):
    """Case 7."""
    run = training.copied(tmp_path / "run")
    longer = ["--training.steps", str(STEPS + 2), "--training.learning_rate", "0.005", "--training.keep_last", "1"]
    refused = mistake("train", training.config_file, *longer[:2], "--run", run.path)
    assert "training.steps is 16 in the folder and 18 here" in refused
    assert cli.main(["train", str(run.path), *longer]) == 0
    assert f"aef: training.steps is {STEPS + 2} from step {STEPS} on, was {STEPS}" in capsys.readouterr().err
    rates = {r["step"]: r["learning_rate"] for r in read_metrics(run.metrics_path) if r["kind"] == "train"}
    assert sorted(rates) == list(range(1, STEPS + 3))
    assert rates[STEPS] == pytest.approx(0.01 / 14)
    assert [rates[STEPS + 1], rates[STEPS + 2]] == pytest.approx([0.005 * 2 / 16, 0.005 * 1 / 16])
    assert [json.loads(line)["step"] for line in run.changes_path.read_text().splitlines()] == [STEPS] * 3
    assert "has done 18 steps, and training.steps is 16" in mistake("train", run.path, "--training.steps", STEPS)


def test_a_run_begins_with_the_weights_of_another(training, tmp_path, capsys):
    """Case 1: where the weights come from is printed, and kept for a run that is killed before its first checkpoint.

    Those that are frozen stay, also under weight decay, and the others train.
    """
    short = [word for name, value in SHORT.items() for word in (f"--training.{name}", str(value))]
    warm, fresh = RunFolder(tmp_path / "warm"), RunFolder(tmp_path / "fresh")
    origin = str(training.run.path)
    assert cli.main(["train", str(training.config_file), "--init-from", origin, "--run", str(warm.path), *short]) == 0
    line = f"aef: the weights are those of {origin}, checkpoint {STEPS}\n"
    assert line in capsys.readouterr().err
    trained = params_of(warm)
    assert_frozen(params_of(training.run), trained)
    shutil.rmtree(warm.checkpoints)
    assert cli.main(["train", str(warm.path)]) == 0
    assert line in capsys.readouterr().err
    assert are_equal(params_of(warm), trained)
    other = replace(warm.read_config(), training=replace(warm.read_config().training, freeze=""))
    expected = f"training.freeze is '{SHORT['freeze']}' in the folder and '' here"
    assert expected in error_message(warm.require_same_run, other)

    assert cli.main(["train", origin, "--run", str(fresh.path), *short]) == 0
    expected = f"aef: {fresh.path} begins with fresh weights, and with the settings of {origin};"
    assert expected in capsys.readouterr().err
    assert not are_equal(params_of(fresh), trained)


def assert_frozen(before, after) -> None:
    """Assert that exactly the parameters that `SHORT` freezes are the same."""
    pairs = zip(*(flatten_dict(nnx.to_pure_dict(params)).items() for params in (before, after)), strict=True)
    for (path, array), (_, trained) in pairs:
        name = ".".join(map(str, path))
        is_frozen = name.startswith("encoder.") or name.endswith(".key.kernel")
        has_gradient = ".missing_bands." not in name  # no frame of the sample lacks a band
        assert np.array_equal(trained, array) == (is_frozen or not has_gradient), name
