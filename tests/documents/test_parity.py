"""The pages' example of comparing one's own models, and the commands that prove AEF's."""

import shlex

import pytest

from parity.aef.check import command
from parity.aef.mutations import command as mutations
from parity.cli import main
from tests.support.documents import block


@pytest.mark.slow
def test_models_agree_and_flax_epsilon_does_not():
    code = block("parity")
    exec(code, {"__name__": "readme"})
    with pytest.raises(AssertionError) as error:
        exec(code.replace("epsilon=1e-5, ", "").replace("mapping)", "mapping, ['float64'])"), {"__name__": "readme"})
    message = str(error.value)
    table, _, end = message.partition("They differ first at:\n")
    assert "the whole" in table
    place, torch_code, flax_code = end.splitlines()[:3]
    assert place == "  1, by its outputs:"
    assert "torch/nn/modules/normalization.py" in torch_code
    assert "flax/nnx/nn/normalization.py" in flax_code


@pytest.mark.parametrize("mark", ["proof", "parity_check"])
def test_proof_commands_reach_their_functions(mark, monkeypatch):
    calls = []
    for module, name in ((command, "run_check"), (command, "run_bisect"), (mutations, "run_mutate")):
        monkeypatch.setattr(module, name, lambda options, name=name: calls.append((name, options)) or 0)
    for line in block(mark).splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "aef-parity"
        assert main(arguments) == 0
    whole = mark == "proof"
    assert [name for name, _ in calls] == (["run_check"] * (1 + whole) + ["run_bisect", "run_mutate"] * whole)
    assert (calls[whole][1].what, calls[whole][1].jax) == ("tiny.safetensors", "runs/tiny")
