"""The commands `aef-parity check` and `aef-parity bisect`, on a model that compiles in seconds."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import aef_jax.model.attention
from configs.objective import ObjectiveConfig
from configs.presets import PRESETS
from configs.serialization.config_json import to_json
from configs.sources import LANDSAT
from parity.aef.check import check_input as check_input
from parity.aef.check import command
from parity.aef.conversion.convert import convert
from parity.aef.conversion.metadata import CheckpointMetadata
from parity.aef.conversion.torch_checkpoint import write_torch
from parity.aef.random_weights import random_weights
from parity.capture.trees import cast
from parity.cli import main
from parity.mapping.spec import Spec
from parity.report.report import Report
from tests.support.data.sample_batch import SHRUNK

CONFIG = replace(
    SHRUNK,
    model=replace(SHRUNK.model, num_blocks=1),
    sources=(LANDSAT,),
    objective=ObjectiveConfig(consistency=0),
)
QUICK = ["--dtypes", "float64", "--seeds", "1"]

pytestmark = pytest.mark.usefixtures("one_thread", "quick_compiles", "small")


@pytest.fixture
def small(monkeypatch):
    """Make `tiny` a preset with a single block."""
    monkeypatch.setitem(PRESETS, "tiny", CONFIG)
    monkeypatch.setattr(check_input, "SIDE", 16)


@pytest.fixture
def fault(monkeypatch):
    """Scale JAX's attention logits by 1.01."""
    original = aef_jax.model.attention.masked_softmax
    monkeypatch.setattr(aef_jax.model.attention, "masked_softmax", lambda logits, mask: original(1.01 * logits, mask))


def _saved(folder, weights, name):
    write_torch(
        folder / f"{name}.safetensors",
        CheckpointMetadata(to_json(CONFIG), None, 0, None),
        {key: Spec.of(array) for key, array in weights.items()},
        {},
        weights.__getitem__,
    )
    return folder / f"{name}.safetensors"


@pytest.mark.slow
def test_agreeing_frameworks_pass(tmp_path, capsys):
    arguments = ["check", "tiny", "--only", "files,modules,terms", *QUICK, "--report", str(tmp_path)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "FAIL" not in printed
    result = json.loads((tmp_path / "report.json").read_text())
    assert result["passed"]
    assert [section["name"] for section in result["sections"]] == ["files", "terms"]
    assert {item["name"] for item in result["sections"][1]["checks"]} >= {"loss, float64", "uniformity, float64"}
    labels = {group["label"] for group in result["comparison"]["submodules"]}
    assert {"", "encoder.blocks.0.time", "decoders.landsat.out", "aef_jax.training.losses.uniformity"} <= labels
    assert result["comparison"]["not_alone"] == {}
    assert result["environment"]["JAX matmul precision"] == "highest"


@pytest.mark.slow
def test_a_fault_fails_and_is_located_and_drawn(tmp_path, capsys, fault):
    assert main(["check", "tiny", "--only", "modules", *QUICK, "--report", str(tmp_path)]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "first difference at encoder.blocks.0.time.attention" in printed
    assert "FAIL encoder.blocks.0.time.attention, float64 forward" in printed
    assert (tmp_path / "junit.xml").exists()

    assert main(["bisect", "tiny", "--report", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "1. encoder.blocks.0.time.attention: given the same inputs, its outputs differ" in printed
    assert "aef_torch/model/attention.py:" in printed
    assert "aef_jax/model/attention.py:" in printed
    assert (tmp_path / "culprit1.png").exists()


@pytest.mark.slow
def test_bisect_finds_nothing_if_both_agree(tmp_path, capsys):
    assert main(["bisect", "tiny", "--report", str(tmp_path)]) == 0
    assert "every sub-module is within its bounds" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_saved_weights_are_compared_first(tmp_path, capsys):
    weights = cast(random_weights(CONFIG), "float32")
    path = _saved(tmp_path, weights, "same")
    convert(path, tmp_path / "run")
    arguments = ["--only", "weights", "--report", str(tmp_path / "report")]
    assert main(["check", str(path), str(tmp_path / "run"), *arguments]) == 0

    name = "summary.out.bias"
    lines = (tmp_path / "report" / "junit.xml").read_text()
    assert 'failures="0"' in lines
    other = _saved(tmp_path, weights | {name: np.nextafter(weights[name], np.float32(9))}, "other")
    assert main(["check", str(other), str(tmp_path / "run"), *arguments]) == 1
    assert name in capsys.readouterr().out


def test_devices_are_made_before_a_run_is_opened(monkeypatch, tmp_path):
    done = []
    monkeypatch.setattr(command, "use_devices", lambda: done.append("devices"))
    monkeypatch.setattr(command, "read_check_input", lambda names: done.append(names) or check_input.of_preset("tiny"))
    monkeypatch.setattr(command, "run_sections", lambda *_: Report("nothing"))
    assert main(["check", "one", "other", "--report", str(tmp_path)]) == 1, "nothing was compared"
    assert done == ["devices", ["one", "other"]]


def test_mistakes_are_reported_in_one_sentence(tmp_path, capsys):
    assert main(["check", "tiniest", "--only", "terms", "--report", str(tmp_path)]) == 2
    assert "unknown preset 'tiniest'" in capsys.readouterr().err
    assert main(["check", "tiny", "--only", "weights", "--report", str(tmp_path)]) == 2
    assert "a preset has only one set of weights" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["check", "tiny", "--only", "terms", "--report", str(tmp_path / "file")]) == 2
    assert "File exists" in capsys.readouterr().err
    path = _saved(tmp_path, cast(random_weights(CONFIG), "float32"), "given")
    assert main(["bisect", str(path), str(path)]) == 2
    assert "expected PyTorch's weights and then the folder of a JAX run" in capsys.readouterr().err
    assert main(["check", "tiny", "--only", "terms", "--precision", "low", "--report", str(tmp_path)]) == 2
    assert "precision is 'low', expected one of highest, high, medium" in capsys.readouterr().err
    for wrong, message in ((["--only", "module"], "'module' is none of"), (["--steps", "0"], "'0' is not a number")):
        with pytest.raises(SystemExit) as stopped:
            main(["check", "tiny", *wrong])
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err


def test_help_imports_no_framework():
    loaded = "print({'jax', 'torch', 'rich'} & set(sys.modules))"
    code = f"import sys; from parity.cli.parser import build_parser; build_parser(); {loaded}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_large_preset_is_shrunk_with_a_note():
    result = check_input.of_preset("paper")
    assert (result.config.model.d_space, result.config.sources) == (16, PRESETS["paper"].sources)
    assert "paper was shrunk" in result.notes[1]
