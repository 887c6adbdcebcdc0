"""Tests of whole runs: what they write, and that they resume after a crash or a stop."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aef_jax.cli import main as cli
from aef_jax.data.loading.training_data import open_data
from aef_jax.run.checkpoint import Checkpointer, restore_params, save_params
from aef_jax.run.folder import RunFolder
from aef_jax.sharding.mesh import make_mesh
from aef_jax.training.loop import train
from aef_jax.training.profiler import Profile, parse_steps
from aef_jax.training.step import abstract_state, init_state
from configs.mesh import MeshConfig
from configs.serialization.config_json import from_json
from configs.sources import SENTINEL1
from tests.aef_jax.conftest import BRIEF, STEPS
from tests.support.refusals import error_message

pytestmark = pytest.mark.usefixtures("quick_compiles")

MIDWAY = STEPS // 2
TRAIN = [sys.executable, "-m", "aef_jax.cli.main", "train"]


def _records(run: RunFolder) -> list[dict]:
    return [json.loads(line) for line in run.metrics_path.read_text().splitlines()]


def _params(run: RunFolder):
    return jax.tree.map(np.asarray, restore_params(run.checkpoints, BRIEF))


def _saved_steps(run: RunFolder) -> list[int]:
    return sorted(int(path.name) for path in run.checkpoints.iterdir() if path.name.isdecimal())


def _assert_same_params(run: RunFolder, other: RunFolder) -> None:
    assert _saved_steps(run)[-1] == _saved_steps(other)[-1]
    _assert_same_numbers(_params(run), _params(other))


def _assert_same_numbers(tree, other) -> None:
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, tree, other)))


def _assert_same_metrics(run: RunFolder, other: RunFolder) -> None:
    """Compare all metrics that do not depend on the clock, to the bit."""
    records, other_records = ([r for r in _records(each) if r["kind"] != "speed"] for each in (run, other))
    assert records == other_records


@pytest.mark.slow
def test_a_run_writes_checkpoints_metrics_and_pictures(training):
    run = training.run
    assert run.read_config() == BRIEF
    assert set(run.read_normalization().mean) == {"sentinel2"}
    assert _saved_steps(run) == [MIDWAY, STEPS]
    assert list(run.tensorboard.glob("events.out.tfevents.*"))
    for name in ("field", "losses", "reconstructions"):
        assert run.picture(name).read_bytes().startswith(b"\x89PNG")
    assert not [path.name for path in run.path.rglob("*.tmp")]


@pytest.mark.slow
def test_each_step_is_recorded_once_and_the_last_has_scores(training):
    records = _records(training.run)
    trained = [record for record in records if record["kind"] == "train"]
    assert [record["step"] for record in trained] == list(range(1, STEPS + 1))
    terms = {"loss", "reconstruction", "reconstruction/sentinel2", "uniformity", "consistency"}
    counts = {"examples_without_input", "examples_without_target"}
    for record in trained:
        assert counts | terms | {"gradient_norm", "learning_rate", "skipped"} <= set(record)
        assert np.isfinite([value for name, value in record.items() if name != "kind"]).all()
    assert trained[0]["learning_rate"] == 0
    assert trained[2]["learning_rate"] == pytest.approx(BRIEF.training.learning_rate)
    speed = [record for record in records if record["kind"] == "speed"]
    assert [record["step"] for record in speed] == list(range(1, STEPS + 1))
    assert {"goodput", "seconds/compile", "seconds/evaluation", "seconds/saving"} <= speed[0].keys()
    assert "frames_per_second" not in speed[0], "the first step compiles"
    for record in speed[1:]:
        assert 0 < record["goodput"] < 1
        assert record["frames_per_second"] > 0
        assert record["sequences_per_second"] > 0
        assert record["flops_per_second"] > 0
        assert 0 <= record["waiting_for_data"] < 1
        assert "mfu" not in record, "the peak of a CPU is not known"
    validation = [record for record in records if record["kind"].startswith("validation")]
    assert [(record["kind"], record["step"]) for record in validation] == [
        ("validation", STEPS),
        ("validation_dates", STEPS),
    ]
    for record in validation:
        assert record["l1/sentinel2"] > 0
        assert record["reconstruction"] == record["reconstruction/sentinel2"] > 0
        assert 0 < record["collapse"] <= 1
        assert record["l1_mean/sentinel2"] > 0
        assert record["l1_persistence/sentinel2"] > 0


@pytest.mark.slow
def test_killed_run_resumes_to_the_same_end_while_profiled(training, tmp_path):
    """The metrics of the lost steps were already written; they are replaced, not repeated."""
    run = training.copied(tmp_path / "killed", MIDWAY)
    assert train(BRIEF, run, open_data(BRIEF), range(MIDWAY + 2, MIDWAY + 4)) == STEPS
    assert list(run.profile.rglob("*.xplane.pb"))
    _assert_same_params(run, training.run)
    _assert_same_metrics(run, training.run)


@pytest.mark.slow
def test_ctrl_c_and_sigterm_save_and_print_a_resume_command(training, tmp_path):
    """Each signal goes to all processes of the job: SIGINT as from a terminal, SIGTERM twice as from a cluster."""
    run = RunFolder(tmp_path / "run")
    interrupted = _stop(training, run, [training.config_file, "--run", run.path, "--data.workers", "0"], signal.SIGINT)
    terminated = _stop(training, run, [run.path, "--data.workers", "1"], signal.SIGTERM)
    assert 0 < interrupted < terminated < STEPS
    subprocess.run([*TRAIN, str(run.path)], env=training.environment, check=True, timeout=300)
    _assert_same_params(run, training.run)
    _assert_same_metrics(run, training.run)


def _stop(training, run: RunFolder, words: list, signal_number: int) -> int:
    """Train until a step was done, stop the run by a signal, and return how many steps it saved."""
    options = {"text": True, "env": training.environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    before = len(_records(run)) if run.metrics_path.exists() else 0
    with subprocess.Popen([*TRAIN, *map(str, words)], **options, start_new_session=True) as process:
        deadline = time.monotonic() + 300
        while not (run.metrics_path.exists() and run.metrics_path.read_text().count("\n") > before):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal_number)
        if signal_number == signal.SIGTERM:
            time.sleep(0.05)  # two at once would be one
            os.killpg(process.pid, signal_number)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    done = max(_saved_steps(run))
    assert f"stopped after {done} of {STEPS} steps, all saved; resume with: aef train {run.path}" in out
    assert "Traceback" not in err
    return done


@pytest.mark.slow
def test_a_finished_run_is_left_unchanged(training, tmp_path, capsys):
    run = training.copied(tmp_path / "done")
    assert cli.main(["train", str(run.path)]) == 0
    assert f"trained {STEPS} steps" in capsys.readouterr().out
    assert _records(run) == _records(training.run)


@pytest.mark.slow
def test_nonfinite_losses_end_the_run_and_keep_the_checkpoint(training, tmp_path, capsys):
    run = training.copied(tmp_path / "poisoned", MIDWAY)
    checkpointer = Checkpointer(run, BRIEF, run.read_normalization(), open_data(BRIEF).data_fingerprint)
    state = checkpointer.restore(abstract_state(BRIEF, make_mesh(BRIEF.mesh)))
    poisoned = state._replace(params=jax.tree.map(lambda x: x * jnp.nan, state.params), step=state.step + 1)
    checkpointer.save(poisoned)
    checkpointer.close()

    assert cli.main(["train", str(run.path)]) == 2
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    last = MIDWAY + 1 + BRIEF.training.max_consecutive_skips
    assert (
        f"aef: step {last}: the loss is nan, and {BRIEF.training.max_consecutive_skips} consecutive steps were"
        in sentence
    )
    assert "the batch is from the training records [0]; the last checkpoint is kept" in sentence
    assert _saved_steps(run) == [MIDWAY, MIDWAY + 1]
    skipped = [r for r in _records(run) if r["kind"] == "train" and r["step"] > MIDWAY + 1]
    assert [(r["loss"], r["skipped"]) for r in skipped] == [(None, n) for n in range(1, len(skipped) + 1)]


@pytest.mark.slow
def test_other_config_in_a_run_folder_is_refused_before_compute(training, tmp_path):
    other = replace(BRIEF, training=replace(BRIEF.training, seed=1))
    sentence = error_message(train, other, training.run, open_data(BRIEF))
    assert sentence == (
        f"{training.run.path} holds a run with another config: training.seed is 0 in the folder and 1 here;"
        " give a new folder with --run"
    )


def test_data_without_any_input_source_are_refused():
    radar = replace(BRIEF, sources=(SENTINEL1,))
    assert "it has valid pixels of ['sentinel2'], expected some of the inputs ['sentinel1']" in error_message(
        open_data, radar
    )


def test_batch_or_mesh_that_misfits_the_devices_is_refused(tmp_path):
    mesh = replace(BRIEF, mesh=replace(BRIEF.mesh, data=3))
    run = RunFolder(tmp_path / "run")
    assert "mesh: data=3 times fsdp=1 times seq=1 does not fill" in error_message(train, mesh, run, open_data(BRIEF))


@pytest.mark.slow
def test_a_run_resumes_if_its_data_moved(training, tmp_path):
    run, moved = training.copied(tmp_path / "moved"), replace(BRIEF, data=replace(BRIEF.data, path="/elsewhere"))
    run.require_same_run(moved)
    run.start(moved, run.read_normalization())
    assert run.read_config() == moved


@pytest.mark.slow
def test_run_resumes_on_devices_that_compute_it_differently(training, tmp_path):
    run = training.copied(tmp_path / "elsewhere", MIDWAY)
    # accepted but not run: on two busy cores, two of its collectives were seen to deadlock
    run.require_same_run(replace(BRIEF, mesh=MeshConfig(seq=2), model=replace(BRIEF.model, block_loop="scan")))
    settings = {"mesh.fsdp": 2, "data.workers": 1, "model.remat": "block"}
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    command = [*TRAIN, str(run.path), *words]
    environment = {**training.environment, "JAX_NUM_CPU_DEVICES": "2"}
    subprocess.run(command, env=environment, check=True, timeout=300)
    config = run.read_config()
    assert (config.mesh.fsdp, config.data.workers, config.model.remat) == tuple(settings.values())
    assert _saved_steps(run) == [MIDWAY, STEPS]
    for actual, expected in zip(*map(jax.tree.leaves, (_params(run), _params(training.run))), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_resuming_with_other_data_is_refused(training, tmp_path):
    run, data = training.copied(tmp_path / "other", MIDWAY), open_data(BRIEF)
    twice = replace(data, training=(*data.training, *data.training))
    assert "was trained on {'records': 1, " in error_message(train, BRIEF, run, twice)


@pytest.mark.slow
def test_latest_best_and_permanent_checkpoints_are_kept(training, tmp_path):
    """Scores fall until step 4 and rise again; a process that starts later still knows that step 4 is the best."""
    training_config = replace(BRIEF.training, keep_last=2, keep_every=3, checkpoint_every=1)
    config = replace(BRIEF, training=training_config)
    run = RunFolder(tmp_path / "run")
    checkpointer = Checkpointer(run, config, training.run.read_normalization(), {})
    state = init_state(config, make_mesh(config.mesh))
    for step, score in enumerate([0.5, 0.4, None, 0.1, 0.3, 0.2, None, 0.25], start=1):
        stepped = state._replace(
            params=jax.tree.map(lambda x, to=step: x * 0 + to, state.params), step=jnp.asarray(step, jnp.int32)
        )
        checkpointer.save(stepped, score)
        if step == 5:
            checkpointer.close()
            checkpointer = Checkpointer(run, config, training.run.read_normalization(), {})
    checkpointer.close()
    assert _saved_steps(run) == [3, 4, 6, 7, 8]
    for which, step in (("best", 4), ("latest", 8)):
        assert {float(x.min()) for x in jax.tree.leaves(restore_params(run.checkpoints, config, which=which))} == {step}
    metadata = json.loads((run.checkpoints / "8" / "run" / "metadata").read_text())
    assert from_json(json.dumps(metadata["config"])) == config
    assert set(metadata["normalization"]) == {"sentinel2"}


@pytest.mark.parametrize("steps", ["10", "a:b", "5:5", "0:3"])
def test_invalid_step_ranges_are_refused(steps):
    assert "steps" in error_message(lambda: Profile(Path(), parse_steps(steps), range(1, 20)))


@pytest.mark.slow
@pytest.mark.parametrize("steps", ["2:9", "17:20"])
def test_steps_that_will_not_run_cannot_be_profiled(training, tmp_path, steps):
    run = training.copied(tmp_path / "profiled", MIDWAY)
    sentence = error_message(train, BRIEF, run, open_data(BRIEF), parse_steps(steps))
    assert sentence == f"profile: no step of {steps} will run: this run goes from step {MIDWAY + 1} to {STEPS}"


@pytest.mark.slow
def test_parameters_of_other_shape_or_dtype_are_refused(training):
    wider = replace(BRIEF, model=replace(BRIEF.model, decoder_width=24))
    sentence = error_message(restore_params, training.run.checkpoints, wider)
    assert f"{STEPS}/params does not fit the run's config in" in sentence
    assert "decoders.sentinel2" in sentence


@pytest.mark.slow
def test_training_from_saved_parameters_alone_is_refused(training, tmp_path, capsys):
    run = RunFolder(tmp_path / "run")
    run.start(BRIEF, training.run.read_normalization())
    save_params(run.checkpoints, restore_params(training.run.checkpoints, BRIEF), step=3)
    _assert_same_numbers(_params(run), _params(training.run))
    assert cli.main(["train", str(run.path)]) == 2
    assert "3 holds parameters alone" in capsys.readouterr().err


def test_a_folder_without_checkpoint_is_refused_unchanged(tmp_path):
    assert "holds no checkpoint: train first" in error_message(restore_params, tmp_path / "none", BRIEF)
    (tmp_path / "empty").mkdir()
    assert "holds no checkpoint: train first" in error_message(restore_params, tmp_path / "empty", BRIEF)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]
