"""A sub-module passes by all its tensors: chance in a small one does not fail it, a large one hides no others."""

import numpy as np
import pytest

from parity.comparison.groups import group_tensors
from parity.comparison.metrics import compare_tensor
from parity.comparison.pair import Measurement

TRUTH = np.random.default_rng(0).standard_normal(1000)


def group(jax_errors, torch_errors):
    """Group tensors with these relative errors in JAX and in PyTorch."""
    error = np.random.default_rng(1).standard_normal(1000)
    error *= np.linalg.norm(TRUTH) / np.linalg.norm(error)
    tensors = [
        compare_tensor(str(number), "float32", TRUTH + jax_error * error, TRUTH + torch_error * error, TRUTH)
        for number, (jax_error, torch_error) in enumerate(zip(jax_errors, torch_errors, strict=True))
    ]
    (result,) = group_tensors(Measurement("", "layer", "output", tensor) for tensor in tensors)
    return result


def test_one_tensor_that_is_worse_by_chance_does_not_fail():
    result = group([3e-5, *[1e-5] * 20], [1e-5] * 21)
    assert result.passed
    assert result.ratio == pytest.approx(np.sqrt(29 / 21))


def test_one_tensor_with_large_errors_does_not_hide_the_others():
    result = group([1e-3, *[1e-5] * 20], [1e-3, *[1e-6] * 20])
    assert not result.passed
    assert result.ratio == pytest.approx(10)
    assert len(result.failing) == 20
    assert "10.00 times PyTorch's in half of the 21 tensors, more than 2" in result.failure


def test_large_errors_in_few_tensors_fail():
    result = group([1e-3, *[1e-5] * 20], [1e-4, *[1e-5] * 20])
    assert not result.passed
    assert result.ratio == pytest.approx(9.1, abs=0.1)
    assert "tensors" not in result.failure
