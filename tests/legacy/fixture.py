"""Where the old files are, and the numbers that the old code computed from them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from aef_jax.run.folder import RunFolder
from configs.config import Config
from tests.support.paths import REPOSITORY

FIXTURE = REPOSITORY / "tests" / "legacy" / "fixture"
DATASET, TORCH, FINAL = FIXTURE / "dataset", FIXTURE / "torch", FIXTURE / "final.safetensors"
STEPS, SAVED = 8, 4
EXPECTED = json.loads((FIXTURE / "expected.json").read_text())
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
"""float32 after a few steps, on another processor or compiled with other settings."""


def copied_run(folder: Path) -> RunFolder:
    """A copy of the old run that a test may continue."""
    shutil.copytree(FIXTURE / "run", folder)
    return RunFolder(folder)


def config_of(run: RunFolder) -> Config:
    """The run's config, with the data set where the repository has it."""
    config = run.read_config()
    return replace(config, data=replace(config.data, path=str(DATASET)))
