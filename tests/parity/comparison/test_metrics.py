"""Distances and results for tensors whose errors are known."""

import numpy as np
import pytest

from parity.comparison.metrics import Distance, compare_tensor, rms, ulps
from parity.comparison.tolerances import ZERO_EPSILONS

EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "bfloat16": 2.0**-7}
TRUTH = np.array([1.0, -2.0, 3.0, 4.0])


def test_relative_l2_largest_difference_and_cosine():
    distance = Distance.between(TRUTH + np.array([0, 0, 0, 0.5]), TRUTH, "float32")
    assert distance.relative_l2 == pytest.approx(0.5 / np.sqrt(30))
    assert distance.max_abs == 0.5
    assert distance.cosine == pytest.approx(32 / np.sqrt(30 * 34.25))
    assert Distance.between(-TRUTH, TRUTH, "float32").cosine == pytest.approx(-1)


@pytest.mark.parametrize("dtype", EPS)
def test_ulps_are_those_of_the_dtype_at_the_true_value(dtype):
    truth = np.array([1.0, 1.75, 2.0, -4.0])
    np.testing.assert_array_equal(ulps(truth + 4 * EPS[dtype], truth, dtype), [4, 4, 2, 1])
    assert Distance.between(truth + 3 * EPS[dtype], truth, dtype).max_ulp == 3


def test_ulps_are_not_counted_near_zero():
    truth = np.array([1.0, 1.0, 1e-3])
    assert len(ulps(truth, truth, "float32")) == 2
    assert Distance.between(truth + np.array([0, 0, 1e-3]), truth, "float32").max_ulp == 0


def test_float32_rounding_is_half_a_ulp():
    """Rounding to float32 is an error of at most half a unit, which float64 resolves."""
    truth = np.random.default_rng(0).standard_normal(1000)
    rounded = truth.astype(np.float32)
    assert 0.4 < Distance.between(rounded, truth, "float32").max_ulp <= 0.5
    assert not compare_tensor("", "float64", rounded, truth, truth).passed
    assert compare_tensor("", "float32", rounded, rounded, truth).passed


def test_equal_tensors_have_zero_distance():
    for truth in (TRUTH, np.zeros(3), np.zeros((0, 2)), np.array([1, 2])):
        distance = Distance.between(truth, truth, "float64")
        assert (distance.relative_l2, distance.max_abs, distance.max_ulp, distance.cosine) == (0, 0, 0, 1)


def test_zeros_that_are_not_are_infinitely_far():
    assert Distance.between(TRUTH, np.zeros(4), "float64").relative_l2 == np.inf
    assert Distance.between(np.zeros(4), TRUTH, "float64").relative_l2 == 1
    assert not compare_tensor("", "float32", np.full(4, 1e-3), np.zeros(4), np.zeros(4)).passed


@pytest.mark.parametrize("dtype", EPS)
def test_nonfinite_values_must_be_nonfinite_in_both(dtype):
    for bad in (np.nan, np.inf, -np.inf):
        broken = np.array([1.0, bad, 3.0, 4.0])
        assert compare_tensor("", dtype, broken, broken, broken).passed
        assert not compare_tensor("", dtype, broken, TRUTH, TRUTH).passed
        assert not compare_tensor("", dtype, TRUTH, broken, broken).passed
    assert not compare_tensor("", dtype, np.array([np.inf]), np.array([-np.inf]), np.array([-np.inf])).passed


def test_shapes_are_never_broadcast():
    with pytest.raises(ValueError, match=r"shapes differ: \(4,\) and \(1, 4\)"):
        compare_tensor("", "float64", TRUTH, TRUTH, TRUTH[None])


def test_float64_bounds_the_distance_between_the_two():
    assert compare_tensor("", "float64", TRUTH * (1 + 9e-14), TRUTH, TRUTH).passed
    assert not compare_tensor("", "float64", TRUTH * (1 + 2e-13), TRUTH, TRUTH).passed


def test_float32_bounds_the_error_by_pytorchs():
    def tensor(jax_array, torch_array):
        return compare_tensor("", "float32", TRUTH * (1 + jax_array), TRUTH * (1 - torch_array), TRUTH)

    assert tensor(1.9e-5, 1e-5).passed
    assert tensor(1.9e-5, 1e-5).ratio == pytest.approx(1.9)
    assert not tensor(2.1e-5, 1e-5).passed
    assert tensor(1e-7, 1e-12).passed, "rounding is not an error, however accurate the other is"
    assert tensor(1e-12, 1e-5).ratio < 1
    assert not tensor(1e-6, 0).passed


def test_a_tensor_that_cancels_to_zero_has_no_error():
    noise = np.array([1e-16, -2e-16])
    assert not compare_tensor("", "float64", noise, -noise, noise[::-1]).passed
    assert compare_tensor("", "float64", noise, -noise, noise[::-1], scale=1).passed
    assert compare_tensor("", "float32", np.full(2, 1e-6), noise, noise, scale=1).passed
    assert not compare_tensor(
        "", "float32", np.full(2, 2 * ZERO_EPSILONS * EPS["float32"]), noise, noise, scale=1
    ).passed


def test_the_scale_is_the_largest_root_mean_square():
    assert rms([]) == 0
    assert rms([np.array([3.0, 4.0]), np.zeros(0), np.array([[1.0]])]) == pytest.approx(np.sqrt(12.5))
