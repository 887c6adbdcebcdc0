"""What the README writes in Python does what it says. (Its commands are run by .ci/run.)"""

import shlex
from dataclasses import replace

import numpy as np
import pytest

from aef_jax.aot import command
from aef_jax.benchmark import changes
from aef_jax.benchmark.size import sized_parser
from aef_jax.cli import main as cli
from aef_jax.data.loading import training_data
from aef_jax.data.loading.training_data import open_data, open_examples
from aef_jax.data.store.dataset import Dataset
from aef_jax.sharding import distributed
from aef_jax.training import loop as train
from configs.presets import TINY
from tests.support.readme import README, block


def test_the_records_that_it_writes_are_a_training_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(block("records"), {})
    dataset = Dataset.open(tmp_path / "mine")
    assert [len(dataset.records(split)) for split in ("training", "heldout")] == [3, 1]
    config = replace(TINY, data=replace(TINY.data, path=str(tmp_path / "mine")))
    example = open_examples(config)[0]
    assert set(example.frames) == {"sentinel2"}
    assert example.frames["sentinel2"].present.all()
    assert np.isfinite(example.targets["sentinel2"].pixels).all()
    assert len(open_data(config).validation["heldout"]) == 1


def test_the_commands_for_pods_are_commands(monkeypatch, capsys):
    """What they do is tested in test_sharding.py and test_ahead_command.py: the second takes a quarter of an hour."""
    asked = []
    monkeypatch.setattr(command, "compile_command", lambda *arguments: asked.append(arguments) or 0)
    for line in block("pods", "bash").splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "aef"
        assert cli.main(arguments) == 0
    assert "data=4 fsdp=2 seq=2: 16 devices" in capsys.readouterr().out
    ((config, topology, *_),) = asked
    assert (config.mesh.data, config.mesh.seq, config.model.compute_dtype) == (256, 2, "bfloat16")
    assert topology == "v4:8x8x8"


@pytest.mark.parametrize("mark", ["gpu", "gpu-data", "tpu", "slurm"])
def test_the_commands_for_accelerators_are_commands(mark, tmp_path, monkeypatch):
    """What they do is tested on CPUs, by test_processes.py and others."""
    joined, trained = [], []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(distributed, "join", lambda *explicit: joined.append(explicit))
    monkeypatch.setattr(distributed, "print_topology", lambda: None)
    monkeypatch.setattr(training_data, "open_data", lambda config, normalization: None)
    monkeypatch.setattr(train, "train", lambda config, *_: trained.append(config) or config.training.steps)
    (line,) = (line for line in block(mark, "bash").splitlines() if not line.startswith("pip install"))
    assert cli.main(shlex.split(line.removeprefix("srun "))[1:]) == 0
    assert trained[0].model.compute_dtype == "bfloat16"
    assert len(joined) == (mark in ("tpu", "slurm"))


@pytest.mark.parametrize(
    ("mark", "line", "name"), [("benchmark", 0, "aef_jax.benchmark"), ("changes", 1, "aef_jax.benchmark.changes")]
)
def test_the_commands_of_the_benchmarks_are_commands(mark, line, name):
    """What they do is tested in test_benchmark.py."""
    python, m, module, *arguments = shlex.split(block(mark, "bash").splitlines()[line])
    assert (python, m, module) == ("python", "-m", name)
    options, settings = sized_parser(None).parse_known_args(arguments)
    assert (options.what, options.side, options.frames) == ("small", 32, 16)
    assert cli.resolve(options.what, settings)[0].model.remat == "none"


def test_the_gains_that_it_predicts_are_what_its_command_prints(monkeypatch, capsys):
    python, m, module, *arguments = shlex.split(block("changes", "bash").splitlines()[0])
    assert (python, m, module) == ("python", "-m", "aef_jax.benchmark.changes")
    monkeypatch.setattr("sys.argv", ["changes", *arguments])
    changes.main()
    for line in capsys.readouterr().out.strip().splitlines()[2:]:
        name, cost = line[:42].strip(), line[42:].split()[2].removesuffix("x")
        assert f"| {name} | {cost} |" in README.read_text()
