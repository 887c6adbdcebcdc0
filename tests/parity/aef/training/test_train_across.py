"""A run that moves between frameworks equals one that stays in JAX: real data, real files and the real commands."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import aef_jax.training.loop
from aef_jax.data.loading.training_data import open_data
from aef_jax.run.checkpoint import Checkpointer
from aef_jax.run.folder import RunFolder
from aef_jax.sharding.mesh import make_mesh
from aef_jax.training.preemption import PreemptionGuard
from aef_jax.training.step import init_state
from configs.config import Config
from configs.data import DataConfig
from configs.presets import DEBUG
from parity.aef.conversion.torch_checkpoint import TorchCheckpoint
from parity.cli import main
from tests.support.data.small_dataset import write_small
from tests.support.data.small_site import CONFIG

STEPS = 60
LOSS_BOUND, PARAMETER_BOUND = 1e-6, 5e-7
"""Relative bounds, in float32."""

pytestmark = pytest.mark.usefixtures("one_thread", "quick_compiles")


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Config:
    """A config with a low learning rate.

    On so few pixels one may have an error of 0 except for rounding. The sign of that error is 1e-3 of L1's gradient,
    and Adam's first steps would turn it into a difference that is not caused by moving the state.
    """
    path = write_small(tmp_path_factory.mktemp("data") / "small")
    training = replace(
        DEBUG.training, steps=STEPS, warmup_steps=10, batch=2, learning_rate=1e-5, evaluate_every=STEPS,
        checkpoint_every=STEPS, validation_sites=1,
    )  # fmt: skip
    model = replace(DEBUG.model, num_blocks=1, text_width=CONFIG.model.text_width)
    data = DataConfig(path=str(path), tile_side=16, support_days=CONFIG.data.support_days)
    # an input of each kind, a class map and texts, so that every term occurs
    sources = tuple(source for source in CONFIG.sources if source.name not in ("landsat", "glo30"))
    return replace(CONFIG, sources=sources, model=model, training=training, data=data)


@pytest.fixture(scope="module")
def stayed(config, tmp_path_factory) -> RunFolder:
    """A run with all steps in JAX."""
    run = RunFolder(tmp_path_factory.mktemp("stayed") / "run")
    assert aef_jax.training.loop.train(config, run, open_data(config)) == STEPS
    return run


def _at_the_start(config: Config, folder: Path) -> RunFolder:
    """Make a run whose only checkpoint is that of step 0."""
    run, data = RunFolder(folder), open_data(config)
    run.start(config, data.schema.normalization)
    checkpointer = Checkpointer(run, config, data.schema.normalization, data.data_fingerprint)
    checkpointer.save(init_state(config, make_mesh(config.mesh)))
    checkpointer.close()
    return run


def _train_in_jax(config: Config, run: RunFolder, to_step: int, monkeypatch) -> None:
    """Train until a step, as if a signal had come after it."""
    monkeypatch.setattr(PreemptionGuard, "should_stop", lambda self, done: done >= to_step)
    assert aef_jax.training.loop.train(config, run, open_data(config)) == to_step


def _losses(path: Path) -> dict[int, float]:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return {record["step"]: record["loss"] for record in records if "loss" in record}


@pytest.mark.slow
def test_training_across_frameworks_equals_sixty_steps_in_one(config, stayed, tmp_path, monkeypatch):
    def parity(*arguments) -> None:
        assert main([str(argument) for argument in arguments]) == 0

    begun, first, moved, second, last = (tmp_path / name for name in ("begun", "first", "moved", "second", "last"))
    parity("convert", _at_the_start(config, begun).path, tmp_path / "torch")
    parity("train", tmp_path / "torch", first, "--to-step", 20)
    parity("convert", first, moved)
    _train_in_jax(config, RunFolder(moved), 40, monkeypatch)
    parity("convert", moved, second)
    parity("train", second, last, "--to-step", STEPS)

    losses, expected = {}, _losses(stayed.metrics_path)
    for path in (tmp_path / "first.jsonl", moved / "metrics.jsonl", tmp_path / "last.jsonl"):
        losses |= _losses(path)
    assert losses.keys() == expected.keys() == set(range(1, STEPS + 1))
    differences = {step: abs(losses[step] / expected[step] - 1) for step in expected}
    assert max(differences.values()) <= LOSS_BOUND

    parity("convert", stayed.path, tmp_path / "stayed")
    moved_run, stayed_run = (TorchCheckpoint(folder) for folder in (last, tmp_path / "stayed"))
    error, size = (
        np.linalg.norm([np.linalg.norm(of(name)) for name in stayed_run.params])
        for of in (lambda name: moved_run.tensor(name) - stayed_run.tensor(name), stayed_run.tensor)
    )
    assert error / size <= PARAMETER_BOUND
    assert moved_run.saved.training.counters == stayed_run.saved.training.counters
    assert moved_run.saved.training.position == stayed_run.saved.training.position == {"next_example": 2 * STEPS}


@pytest.fixture(scope="module")
def begun(config, tmp_path_factory) -> Path:
    """A run at step 0, converted for PyTorch."""
    folder = tmp_path_factory.mktemp("begun")
    assert main(["convert", str(_at_the_start(config, folder / "run").path), str(folder / "torch")]) == 0
    return folder / "torch"


def _refused(capsys, *arguments) -> str:
    """Return the message of a `train` that fails before its first step, and assert that no file changes."""
    capsys.readouterr()
    folder = Path(arguments[1]).parent
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert main(["train", *map(str, arguments), "--to-step", "1"]) == 2
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    message = capsys.readouterr().err
    assert "PyTorch:" not in message, "there is no progress bar, since no step was started"
    return message.rstrip("\n")


@pytest.mark.slow
def test_format_that_cannot_store_moments_is_refused_at_start(begun, tmp_path, capsys):
    message = _refused(capsys, begun, tmp_path / "on.safetensors")
    assert message.endswith(
        "on.safetensors would hold only parameters: give the name of a folder, which also holds moments"
    )


@pytest.mark.slow
def test_refused_overwriting_is_reported_at_the_start(begun, tmp_path, capsys):
    (tmp_path / "on").mkdir()
    (tmp_path / "on/notes.txt").write_text("")
    message = _refused(capsys, begun, tmp_path / "on", "--overwrite")
    assert "on holds other files (notes.txt): it is not overwritten" in message
    (tmp_path / "new.jsonl").write_text("mine")
    message = _refused(capsys, begun, tmp_path / "new")
    assert message.endswith("new.jsonl exists already: give another name, or --overwrite")
    (tmp_path / "terms.jsonl").mkdir()
    message = _refused(capsys, begun, tmp_path / "terms", "--overwrite")
    assert message.endswith("terms.jsonl is a folder, expected the name of a file")


@pytest.mark.slow
def test_parameters_alone_cannot_be_trained_on(stayed, tmp_path, capsys):
    assert main(["convert", str(stayed.path), str(tmp_path / "alone.safetensors")]) == 0
    assert main(["train", str(tmp_path / "alone.safetensors"), str(tmp_path / "on"), "--to-step", "61"]) == 2
    assert "holds only parameters: convert a run to a folder" in capsys.readouterr().err


@pytest.mark.slow
def test_a_target_step_out_of_range_is_refused(stayed, tmp_path, capsys):
    assert main(["convert", str(stayed.path), str(tmp_path / "torch")]) == 0
    assert main(["train", str(tmp_path / "torch"), str(tmp_path / "on"), "--to-step", "61"]) == 2
    assert "to_step is 61, expected more than 60 and at most 60" in capsys.readouterr().err
    assert not (tmp_path / "on").exists()
