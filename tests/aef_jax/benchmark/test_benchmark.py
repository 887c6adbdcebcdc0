"""Tests of the benchmarks: timing in separate processes, and the tables."""

import os
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from aef_jax.aot.cost.roofline import Operator, Roofline
from aef_jax.benchmark import changes
from aef_jax.benchmark.__main__ import main, measure, table
from aef_jax.benchmark.jax_runs import used_devices
from aef_jax.benchmark.rounds import Measurement, time_in_turn
from aef_jax.benchmark.size import resize_config
from aef_jax.benchmark.worker import Ready, Task, Timed
from configs.fake_batch import random_batch
from configs.mesh import MeshConfig
from configs.presets import PAPER
from configs.serialization.config_json import from_json, to_json
from tests.aef_jax.conftest import BRIEF
from tests.support.refusals import error_message


@pytest.fixture
def brief():
    return resize_config(BRIEF, side=16, frames=3, batch=1)


@pytest.fixture
def quick_processes(compiler_settings, monkeypatch):
    for name, value in compiler_settings.items():
        monkeypatch.setenv(name.upper(), str(value))


@pytest.mark.slow
@pytest.mark.usefixtures("quick_processes")
@pytest.mark.parametrize("kind", ["forward", "training"])
def test_all_implementations_are_timed_in_turn(brief, kind, monkeypatch):
    pytest.importorskip("torch")
    # torch.compile would take a C++ compiler a minute
    monkeypatch.delitem(measure.__globals__["IMPLEMENTATIONS"], "PyTorch, torch.compile")
    measured = measure(kind, brief, rounds=2)
    assert list(measured) == ["JAX", "PyTorch, eager"]
    for result in measured.values():
        assert len(result.rounds) == 2
        assert result.seconds > 0
        assert result.ready.first_seconds > 0
        assert result.peak_bytes > 1e7


def _only(config, kind: str = "training", module: str = "aef_jax.benchmark.jax_runs") -> Measurement:
    return time_in_turn({"JAX": Task(module, "compiled", kind, to_json(config))}, 1, kind)["JAX"]


@pytest.mark.slow
@pytest.mark.usefixtures("quick_processes")
def test_frames_are_padded_if_the_mesh_does_not_divide_them(brief, monkeypatch):
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "2")
    measurement = _only(replace(brief, mesh=MeshConfig(seq=2)), "forward")
    assert measurement.ready.device == "2 x cpu"
    assert measurement.seconds > 0


@pytest.mark.slow
def test_a_batch_that_devices_do_not_divide_is_refused(brief, monkeypatch, capfd):
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "8")
    assert "batch is 1, expected a multiple of data times fsdp (8)" in error_message(_only, brief)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("mesh", "platform", "expected"),
    [
        (MeshConfig(), "gpu", 1),
        (MeshConfig(seq=2), "gpu", 2),
        (MeshConfig(data=2, fsdp=2), "gpu", 4),
        (MeshConfig(), "cpu", 8),
    ],
)
def test_one_accelerator_is_timed_unless_the_mesh_asks_for_more(mesh, platform, expected):
    assert len(used_devices(mesh, [SimpleNamespace(platform=platform)] * 8)) == expected


def test_workers_do_not_preallocate_device_memory(brief, tmp_path, monkeypatch):
    """All processes are alive at once, on one device."""
    (tmp_path / "says_its_memory.py").write_text(
        "import os\n"
        "prepare = lambda config, task: lambda: None\n"
        "peak_bytes = lambda: 1\n"
        "device = lambda: os.environ.get('XLA_PYTHON_CLIENT_PREALLOCATE', 'not set')\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    for setting, expected in ((None, "false"), ("true", "true")):
        if setting:
            monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", setting)
        assert _only(brief, module="says_its_memory").ready.device == expected


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the peak of a process")
def test_memory_of_the_first_run_is_released_and_not_counted(brief, tmp_path, monkeypatch):
    (tmp_path / "takes_more_at_first.py").write_text(
        "import numpy as np\n"
        "taken = [np.ones(10**8), np.ones(10**5)]\n"
        "prepare = lambda config, task: lambda: taken.pop(0) if taken else None\n"
        "peak_bytes = lambda: 0\n"
        "device = lambda: 'here'\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert 1e7 < _only(brief, module="takes_more_at_first").peak_bytes < 5e8  # the first run took 8e8


def test_table_has_speeds_and_the_speedup_of_jax():
    jax_times = Measurement(Ready(9.0, "cpu"), [Timed(1.0, 10**9), Timed(2.0, 2 * 10**9), Timed(3.0, 10**9)])
    torch_times = Measurement(Ready(1.0, "cpu"), [Timed(2.0, 10**9), Timed(2.0, 10**9), Timed(4.5, 10**9)])
    header, jax, torch = table("forward", {"JAX": jax_times, "PyTorch, eager": torch_times}, frames=100).splitlines()[
        1:
    ]
    assert header.split()[0] == "forward"
    assert jax.split()[:6] == ["JAX", "50.0", "2.000", "9.0", "2.00", "1.00x"]
    assert torch.split()[2:7] == ["50.0", "2.000", "1.0", "1.00", "1.50x"]


def test_frame_budgets_are_scaled_in_their_proportions():
    assert resize_config(PAPER, None, None, PAPER.training.batch) == PAPER
    few = resize_config(PAPER, side=32, frames=10, batch=2)
    assert [source.frame_budget for source in few.input_sources] == [6, 2, 2]
    assert (few.data.tile_side, few.training.batch) == (32, 2)
    assert from_json(to_json(few)) == few
    batch, _ = random_batch(few, side=16, full=True)
    for source in few.input_sources:
        assert batch.frames[source.name].present.shape[1] == source.frame_budget
        assert batch.student[source.name].index.shape[1] == source.student_budget <= source.frame_budget


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (["smal"], "smal"),
        (["nowhere/config.json"], "nowhere/config.json"),
        (["tiny", "--side", "20"], "tile_side is 20, expected a positive multiple of 16"),
        (["tiny", "--batch", "0"], "batch is 0"),
        (["tiny", "--rounds", "0"], "--rounds is 0"),
        (["tiny", "--model.width", "3"], "model.width"),
    ],
)
def test_mistakes_in_the_command_line_are_reported(mistake, sentence, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmark", *mistake])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_each_change_alters_the_step_and_its_formula_cost():
    base = resize_config(PAPER, side=32, frames=24, batch=2)
    others = changes.alternatives(base)
    all_frames, *names = list(others)
    assert all_frames == "no frames dropped for the student"
    assert names == ["remat none", "remat dots", "blocks: unroll", "bfloat16"]
    unchanged = changes.predict(base, "v4", 1)
    predicted = {name: changes.predict(config, "v4", 1) for name, config in others.items()}
    flops = {name: each.flops / unchanged.flops for name, each in predicted.items()}
    seconds = {name: each.seconds / unchanged.seconds for name, each in predicted.items()}
    assert (
        flops["remat none"] == flops["remat dots"] == pytest.approx(0.76, abs=0.01)
    )  # the blocks run 3 passes instead of 4
    assert seconds["remat none"] <= seconds["remat dots"] < 1
    assert flops["blocks: unroll"] == seconds["blocks: unroll"] == flops["bfloat16"] == 1
    assert seconds["bfloat16"] < 0.9
    assert 1.1 < flops[all_frames] < 1.4
    assert changes.predict(base, "v4", 2).flops == unchanged.flops / 2


def test_a_mesh_that_does_not_fit_the_chips_is_reported(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["changes", "tiny", "--only-predict", "--chips", "3", "--mesh.seq", "2"])
    with pytest.raises(SystemExit) as stopped:
        changes.main()
    assert stopped.value.code == 2
    assert "mesh: data=the rest times fsdp=1 times seq=2 does not fill the 3 devices" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("quick_processes")
def test_changes_are_timed_beside_the_unchanged_step(brief, tmp_path, monkeypatch, capsys):
    path = tmp_path / "config.json"
    path.write_text(to_json(brief))
    scanned = lambda config: {"blocks: scan": replace(config, model=replace(config.model, block_loop="scan"))}  # noqa: E731
    monkeypatch.setattr(changes, "alternatives", scanned)
    monkeypatch.setattr("sys.argv", ["changes", str(path), "--batch", "1", "--rounds", "2"])
    changes.main()
    *_, base, other = capsys.readouterr().out.splitlines()
    assert base.startswith(changes.BASELINE)
    assert base.removeprefix(changes.BASELINE).split()[4] == "1.00x"
    flops, _, on_chip, seconds, slower, peak, *_ = other.removeprefix("blocks: scan").split()
    assert flops == on_chip == "1.00x"
    assert min(float(seconds), float(slower.removesuffix("x")), float(peak)) > 0


def test_table_of_changes_is_relative_to_the_current_step():
    def chip(flops, seconds):
        return Roofline((Operator("space", flops, 0, seconds, 0),), 0, 0)

    predicted = {"as it is": chip(4, 0.25), "other": chip(6, 0.3)}
    base = Measurement(Ready(9.0, "cpu"), [Timed(1.0, 10**9), Timed(2.0, 10**9), Timed(3.0, 10**9)])
    other = Measurement(Ready(9.0, "cpu"), [Timed(2.0, 10**9), Timed(2.0, 2 * 10**9), Timed(4.5, 10**9)])
    *_, first, second = changes.table("v4", predicted, {"as it is": base, "other": other}).splitlines()
    assert first.split()[3:8] == ["1.00x", "250.0", "1.00x", "2.000", "1.00x"]
    assert second.split() == ["other", "1.50x", "300.0", "1.20x", "2.000", "1.50x", "2.00", "cpu"]
    *_, second = changes.table("v4", predicted, {}).splitlines()
    assert second.split() == ["other", "1.50x", "300.0", "1.20x"]
