"""The message of a failed assertion, and the output of the pytest plugin."""

import json
import subprocess
import sys

import numpy as np
import pytest
from flax import nnx
from torch import nn

from parity import assert_parity

X = np.random.default_rng(0).standard_normal((3, 4), np.float32)


class TorchNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.act = nn.LayerNorm(4), nn.Tanh()

    def forward(self, x):
        return self.act(self.norm(x))


class Net(nnx.Module):
    def __init__(self, epsilon=1e-5):
        self.norm = nnx.LayerNorm(4, epsilon=epsilon, use_fast_variance=False, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return nnx.tanh(self.norm(x))


def test_equal_models_raise_nothing():
    comparison = assert_parity(TorchNet(), Net(), (X,))
    assert comparison.passed
    assert {group.dtype for group in comparison.groups} == {"float64", "float32"}


def test_a_failure_lists_differences_and_culprits():
    with pytest.raises(AssertionError) as error:
        assert_parity(TorchNet(), Net(epsilon=1e-2), (X,), dtypes=("float64",))
    lines = str(error.value).splitlines()
    assert lines[0] == "PyTorch and Flax differ in 4 of 4 comparisons (relative L2 errors):"
    assert lines[1].split() == ["sub-module", "dtype", "direction", "Flax's", "PyTorch's"]
    assert [line.split()[:3] for line in lines[4:6]] == [["norm", "float64", way] for way in ("forward", "backward")]
    assert "from PyTorch's, more than 1e-13" in lines[4]
    assert lines[6:8] == ["They differ first at:", "  norm, by its outputs:"]
    assert "torch/nn/modules/normalization.py:" in lines[8]
    assert "flax/nnx/nn/normalization.py:" in lines[9]
    assert lines[10] == "In only one of the two, or not recorded: act"


TESTS = """
import numpy as np
import pytest
import torch
from flax import nnx

@pytest.mark.parametrize("epsilon", [1e-5, 1e-2])
def test_norm(parity_case, epsilon):
    nnx_module = nnx.LayerNorm(4, epsilon=epsilon, use_fast_variance=False, rngs=nnx.Rngs(0))
    x = np.arange(8, dtype=np.float32).reshape(2, 4) ** 2
    parity_case(torch.nn.LayerNorm(4), nnx_module, (x,), dtypes=["float64"])
"""


@pytest.fixture
def run(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # an installed plugin would be loaded twice
    pytester.makepyfile(TESTS)
    return lambda *options: pytester.runpytest_inprocess("-p", "aef_parity_plugin", *options)


@pytest.mark.slow
def test_the_fixture_asserts(run):
    result = run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*PyTorch and Flax differ in 2 of 2*", "*They differ first at:*", "*normalization.py:*"]
    )


@pytest.mark.slow
@pytest.mark.parametrize(("worker", "name"), [(None, "parity.jsonl"), ("gw1", "parity-gw1.jsonl")])
def test_each_comparison_is_a_line_of_the_report(run, pytester, monkeypatch, worker, name):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    if worker:
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
    run("--parity-report", "out/report")
    lines = [json.loads(line) for line in (pytester.path / "out" / "report" / name).read_text().splitlines()]
    assert [line["passed"] for line in lines] == [True, False]
    assert lines[1]["title"].endswith("::test_norm[0.01]")
    assert "PyTorch" in lines[0]["environment"]
    assert [group["direction"] for group in lines[0]["comparison"]["submodules"]] == ["forward", "backward"]


def test_the_plugin_imports_nothing_before_its_use():
    unwanted = {"jax", "torch", "flax", "numpy", "parity", "configs", "aef_jax", "aef_torch"}
    code = f"import sys, aef_parity_plugin; print(*({unwanted} & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert loaded == []
