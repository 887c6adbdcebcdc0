"""What the README says of comparing one's own models."""

import pytest
from readme import python_block


def test_its_models_are_equal_and_with_flaxs_epsilon_they_part_where_it_says():
    code = python_block("parity")
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
