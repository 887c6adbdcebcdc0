"""What the README says of comparing one's own models, and of the commands that prove AEF's."""

import shlex

import pytest

from parity import cli
from tests.support.readme import block


def test_readme_models_agree_and_flax_epsilon_diverges_as_stated():
    code = block("parity")
    exec(code, {"__name__": "readme"})
    with pytest.raises(AssertionError) as error:
        exec(code.replace("epsilon=1e-5, ", "").replace("mapping)", "mapping, ['float64'])"), {"__name__": "readme"})
    message = str(error.value)
    table, _, end = message.partition("They part at:\n")
    assert "the whole" in table
    place, torch_code, flax_code = end.splitlines()[:3]
    assert place == "  1, by its outputs:"
    assert "torch/nn/modules/normalization.py" in torch_code
    assert "flax/nnx/nn/normalization.py" in flax_code


def test_the_commands_of_the_proof_are_commands(monkeypatch):
    """What they do is tested in test_check.py and test_mutations.py: all of it takes minutes."""
    called = []
    for name in ("_check", "_bisect", "_mutate"):
        monkeypatch.setattr(cli, name, lambda options, name=name: called.append((name, options)) or 0)
    for line in block("proof", "bash").splitlines():
        command, *arguments = shlex.split(line, comments=True)
        assert command == "aef-parity"
        assert cli.main(arguments) == 0
    assert [name for name, _ in called] == ["_check", "_check", "_bisect", "_mutate"]
    assert (called[1][1].what, called[1][1].jax) == ("tiny.safetensors", "runs/tiny")
