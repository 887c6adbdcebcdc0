"""Commands that are killed repeatedly end as undisturbed ones do, and no temporary file stays."""

import os
import random
from functools import partial
from pathlib import Path

import pytest

from aef_jax.cli.main import main as aef
from parity.cli import main as parity
from tests.aef_jax.conftest import BRIEF
from tests.support.killing import Kill, kill_command, run_command, temporaries, wait, wait_for_temporary
from tests.support.training_run import write_training_run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compiles")]

PERIOD = ("--period", "2018-01-01", "2018-07-01")


@pytest.fixture
def environment(compiler_settings) -> dict[str, str]:
    """Return the environment of the processes, which share compiled programs."""
    settings = {name.upper(): str(value) for name, value in compiler_settings.items()}
    return {**os.environ, **settings, "JAX_PLATFORMS": "cpu"}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return the folder that the killed commands write to, with nothing else in it."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def moments() -> random.Random:
    """Return the source of the moments to kill at."""
    return random.Random(0)


def _starting(moments: random.Random) -> Kill:
    return partial(wait, moments.uniform(0.1, 1))


def _kill_repeatedly(words: tuple, environment: dict[str, str], folder: Path, kills: list[Kill]) -> int:
    """Run the command to its end after it was killed, and return how many kills left a temporary file."""
    littered = 0
    for kill in kills:
        kill_command(words, environment, kill)
        littered += bool(temporaries(folder))
    run_command(words, environment)
    assert temporaries(folder) == []
    return littered


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_planet_killed_eight_times_is_the_same(environment, tmp_path, folder, moments):
    words = ("--sites", "2", "--side", "16")
    assert aef(["data", "make-planet", str(tmp_path / "whole"), *words]) == 0
    kills = [
        *(_starting(moments) for _ in range(4)),
        *(partial(wait_for_temporary, folder, moments.uniform(0, 0.05)) for _ in range(4)),
    ]
    command = ("aef_jax.cli.main", "data", "make-planet", folder / "planet", *words)
    assert _kill_repeatedly(command, environment, folder, kills) >= 4
    assert _contents(folder / "planet") == _contents(tmp_path / "whole")
    assert list(folder.iterdir()) == [folder / "planet"]


def test_field_killed_four_times_is_the_same(environment, tmp_path, folder, moments):
    run = write_training_run(tmp_path / "run", BRIEF)
    whole = tmp_path / "whole"
    assert aef(["embed", str(run), *PERIOD, "-o", str(whole / "field.tif")]) == 0
    kills = [*(_starting(moments) for _ in range(3)), partial(wait_for_temporary, folder, 0)]
    command = ("aef_jax.cli.main", "embed", run, *PERIOD, "-o", folder / "field.tif")
    _kill_repeatedly(command, environment, folder, kills)
    assert _contents(folder) == _contents(whole)


def test_both_conversions_killed_are_the_same(environment, tmp_path, folder):
    """Orbax names its files at random, so a run is compared by the weights that it converts back to."""
    run, whole = write_training_run(tmp_path / "run"), tmp_path / "whole.safetensors"
    assert parity(["convert", str(run), str(whole)]) == 0

    weights = folder / "weights.safetensors"
    kills = [partial(wait_for_temporary, folder, 0)]
    _kill_repeatedly(("parity.cli", "convert", run, weights), environment, folder, kills)
    assert _contents(folder) == {"weights.safetensors": whole.read_bytes()}

    kills = [partial(wait_for_temporary, folder, 0.05)]
    assert _kill_repeatedly(("parity.cli", "convert", weights, folder / "run"), environment, folder, kills) >= 1
    assert {path.name for path in folder.iterdir()} == {"weights.safetensors", "run"}
    assert not [path for path in folder.rglob("*") if "tmp" in path.name]
    assert parity(["convert", str(folder / "run"), str(tmp_path / "back.safetensors")]) == 0
    assert (tmp_path / "back.safetensors").read_bytes() == whole.read_bytes()
