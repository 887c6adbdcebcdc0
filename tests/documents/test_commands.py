"""Commands of the pages that take too long or need an accelerator: they parse, and ask for what the page says.

What they do is tested elsewhere; the other commands are run by `.ci/run`.
"""

import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

from aef_jax.aot import command
from aef_jax.benchmark import changes
from aef_jax.benchmark.size import sized_parser
from aef_jax.cli.main import main
from aef_jax.data.build import build
from aef_jax.data.build.summary import BuildSummary
from aef_jax.data.loading import training_data
from aef_jax.report import run_page
from aef_jax.run.folder import RunFolder
from aef_jax.sharding import distributed, lost_process
from aef_jax.training import loop
from configs.config import Config
from configs.presets import DEBUG
from configs.serialization.config_json import to_json
from configs.serialization.overrides import override
from tests.support.data.two_halves import two_halves, write_geotiff
from tests.support.documents import DOCUMENTS, block


@pytest.fixture
def trained(tmp_path, monkeypatch) -> list[Config]:
    """Collect the configs that `aef train` would train, in a folder with the run that pages begin from."""
    configs = []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "runs" / "tiny" / "config.json").write_text(to_json(DEBUG))
    monkeypatch.setattr(training_data, "open_data", lambda config, normalization: None)
    monkeypatch.setattr(loop, "train", lambda config, *_: configs.append(config) or config.training.steps)
    return configs


@pytest.mark.slow
def test_pod_commands_reach_compile_and_shardings(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(command, "compile_command", lambda *arguments: calls.append(arguments) or 0)
    for line in block("pods").splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "aef"
        assert main(arguments) == 0
    assert "data=4 fsdp=2 seq=2: 16 devices" in capsys.readouterr().out
    ((config, topology, *_),) = calls
    assert (config.mesh.data, config.mesh.seq, config.model.compute_dtype) == (256, 2, "bfloat16")
    assert topology == "v4:8x8x8"


@pytest.mark.parametrize("mark", ["gpu", "gpu_data", "tpu", "slurm"])
def test_accelerator_commands_train_in_bfloat16(mark, trained, monkeypatch):
    joined = []
    monkeypatch.setattr(distributed, "join", lambda *explicit, timeout_s: joined.append(explicit))
    monkeypatch.setattr(lost_process, "watch_stderr", lambda *_: None)
    monkeypatch.setattr(distributed, "print_topology", lambda: None)
    (line,) = (line for line in block(mark).splitlines() if not line.startswith("pip install"))
    assert main(shlex.split(line.removeprefix("srun "))[1:]) == 0
    assert trained[0].model.compute_dtype == "bfloat16"
    assert len(joined) == (mark in ("tpu", "slurm"))


def test_ablation_commands_change_the_settings(trained):
    for line in block("settings").splitlines():
        assert main(shlex.split(line)[1:]) == 0
    again, ablated = trained
    assert again.training.seed == 1
    assert (ablated.objective.consistency, ablated.objective.uniformity) == (0, 0)
    assert [source.name for source in ablated.sources] == ["sentinel2"]


def test_training_on_a_data_set_takes_its_folder(trained, tmp_path):
    assert main(shlex.split(block("train_on_data"))[1:]) == 0
    assert trained[0].data.path == str(tmp_path / "planet")


@pytest.mark.parametrize(
    ("mark", "line", "name"), [("benchmark", 0, "aef_jax.benchmark"), ("changes", 1, "aef_jax.benchmark.changes")]
)
def test_benchmark_commands_parse(mark, line, name):
    python, m, module, *arguments = shlex.split(block(mark).splitlines()[line])
    assert (python, m, module) == ("python", "-m", name)
    options, settings = sized_parser(None).parse_known_args(arguments)
    assert (options.what, options.side, options.frames) == ("small", 32, 16)
    assert override(DEBUG, settings).model.remat == "none"


def test_the_report_is_of_the_run_of_the_page(monkeypatch):
    calls = []
    monkeypatch.setattr(run_page, "write_run_report", lambda *arguments: calls.append(arguments))
    assert main(shlex.split(block("report"))[1:]) == 0
    assert calls == [(RunFolder(Path("runs/tiny")), Path("tiny.html"), None, "latest")]


def test_the_map_shows_the_fields_of_the_page(tmp_path, monkeypatch, capsys):
    pytest.importorskip("xstatic", reason="Leaflet is in the optional extra serve")
    monkeypatch.chdir(tmp_path)
    for year in (2019, 2020, 2021):
        write_geotiff(tmp_path / f"{year}.tif", two_halves(), year)
    # the page's port may be taken
    monkeypatch.setattr("aef_jax.serve.server.FieldServer.serve_forever", lambda server: served.append(server.maps))
    served = []
    assert main([*shlex.split(block("serve"))[1:], "--port", "0"]) == 0
    assert len(served[0].maps) == 3
    assert "the map is at http://127.0.0.1:" in capsys.readouterr().out


@pytest.mark.slow
def test_predicted_gains_are_those_of_the_page(monkeypatch, capsys):
    python, m, module, *arguments = shlex.split(block("changes").splitlines()[0])
    assert (python, m, module) == ("python", "-m", "aef_jax.benchmark.changes")
    monkeypatch.setattr("sys.argv", ["changes", *arguments])
    changes.main()
    pages = "".join(page.read_text() for page in DOCUMENTS)
    for line in capsys.readouterr().out.strip().splitlines()[2:]:
        name, _, _, ratio = re.split(r"\s{2,}", line.strip())
        cost = ratio.removesuffix("x")
        assert f"| {name} | {cost} |" in pages


def test_jobs_of_an_array_build_parts(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(build, "build_part", lambda *arguments: calls.append(arguments) or 5)
    summary = BuildSummary(10, Counter(), Counter(), [], [], 0, 0)
    monkeypatch.setattr(build, "build_dataset", lambda *arguments: calls.append(arguments) or summary)
    text = block("build_parts")
    for name, value in (("$SLURM_ARRAY_TASK_ID", "2"), ("$SLURM_ARRAY_TASK_COUNT", "10")):
        assert name in text
        text = text.replace(name, value)
    for line in text.splitlines():
        assert main(shlex.split(line)[1:]) == 0
    assert [call[3] for call in calls] == [build.Part(2, 10), False]
    assert "wrote 10 sites to mine" in capsys.readouterr().out
