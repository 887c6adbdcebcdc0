"""A small training run that many tests share, and small data sets."""

import importlib.util
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from aef_jax.cli import main as cli
from aef_jax.run.folder import RunFolder
from configs.config import Config
from configs.data import DataConfig
from configs.presets import DEBUG
from configs.serialization.config_json import to_json
from configs.sources import SENTINEL2
from configs.training import TrainingConfig
from tests.support.compiling import applied
from tests.support.data.small_dataset import write_small

STEPS = 16
BRIEF: Config = replace(
    DEBUG,
    model=replace(DEBUG.model, num_blocks=1, embed_dim=64),
    training=TrainingConfig(
        steps=STEPS,
        warmup_steps=2,
        learning_rate=1e-2,
        batch=2,
        evaluate_every=STEPS,
        checkpoint_every=STEPS // 2,
        max_consecutive_skips=3,
    ),
    # few frames to evaluate with, and few of them clear enough
    data=DataConfig(tile_side=32, support_days=120, min_target_fraction=0.98),
    sources=(replace(SENTINEL2, frame_budget=4),),
)
"""Compiles in seconds and learns little."""


@dataclass(frozen=True)
class Training:
    """A finished run, and the environment for processes that tests start."""

    config_file: Path
    run: RunFolder
    environment: dict[str, str]

    def copied(self, folder: Path, steps: int | None = None) -> RunFolder:
        """Copy the run. With `steps`, only that checkpoint is copied, as if the run had been killed after it."""
        shutil.copytree(self.run.path, folder)
        for checkpoint in (folder / "checkpoints").iterdir():
            if steps is not None and checkpoint.name != str(steps):
                shutil.rmtree(checkpoint)
        return RunFolder(folder)


@pytest.fixture(scope="session")
def training(tmp_path_factory, compiler_settings) -> Training:
    """Train `BRIEF` on the sample cube in this process."""
    if importlib.util.find_spec("nrt") is None or importlib.util.find_spec("xarray") is None:
        pytest.skip("the sample cube is not installed: pip install aef[sample]")
    from aef_jax.data.loading.training_data import open_data
    from aef_jax.training.loop import train

    folder = tmp_path_factory.mktemp("trained")
    config_file = folder / "brief.json"
    config_file.write_text(to_json(BRIEF))
    run = RunFolder(folder / "run")
    with applied(compiler_settings):
        assert train(BRIEF, run, open_data(BRIEF)) == STEPS
    environment = {name.upper(): str(value) for name, value in compiler_settings.items()}
    # hide PyTorch, as on a training machine: TensorBoard's writer would spend seconds to load it
    (folder / "path").mkdir()
    (folder / "path" / "torch.py").write_text("raise ModuleNotFoundError('No module named torch', name='torch')\n")
    searched = [str(folder / "path"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(searched)
    single_device_mesh = {"JAX_NUM_CPU_DEVICES": "1", "JAX_PLATFORMS": "cpu"}
    return Training(config_file, run, {**os.environ, **environment, **single_device_mesh})


@pytest.fixture
def mistake(capsys, tmp_path, monkeypatch):
    """Return a function that runs `aef`, expects exit code 2 and returns the last line of stderr.

    It runs in an empty folder: the folder that pytest started in may hold runs of the user.
    """
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> str:
        assert cli.main([str(argument) for argument in arguments]) == 2
        out, err = capsys.readouterr()
        sentence = err.strip().splitlines()[-1]
        assert sentence.startswith("aef: ")
        assert "Traceback" not in err
        assert not out
        return sentence

    return run


@pytest.fixture(scope="module")
def small_dataset(tmp_path_factory) -> Path:
    """Write a small data set that no test of the module changes."""
    return write_small(tmp_path_factory.mktemp("dataset") / "small")


@pytest.fixture
def own_dataset(tmp_path) -> Path:
    """Write a small data set that a test may break."""
    return write_small(tmp_path / "small")
