"""Tests of quantization in NumPy, JAX and PyTorch against its definition and against the released vectors."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import aef_jax.inference.quantize
import aef_torch.inference.quantize
import configs.fields.quantize
from tests.support.paths import SHARED_DATA

pytestmark = pytest.mark.slow

RELEASED = SHARED_DATA / "aef_points" / "aef_points_int8.npz"
MODULES = {
    "numpy": (configs.fields.quantize, np.asarray),
    "jax": (aef_jax.inference.quantize, jnp.asarray),
    "torch": (aef_torch.inference.quantize, torch.asarray),
}


@pytest.fixture(params=MODULES)
def functions(request):
    """`quantize` and `dequantize` of one framework, of and to NumPy arrays."""
    module, array = MODULES[request.param]
    return [lambda x, name=name: np.asarray(getattr(module, name)(array(x))) for name in ("quantize", "dequantize")]


def test_codes_follow_the_definition(functions):
    quantize, _ = functions
    field = np.array([0, 1, -1, 0.25, -0.25, 1e-6, -0.01], np.float32)

    # 127.5 * sqrt(0.25) = 63.75; 127.5 * 1e-3 = 0.1275; 127.5 * 0.1 = 12.75
    np.testing.assert_array_equal(quantize(field), [0, 127, -127, 64, -64, 0, -13])


def test_dequantized_values_follow_the_definition(functions):
    _, dequantize = functions
    values = dequantize(np.array([0, 127, -127, 51], np.int8))

    assert values.dtype == np.float32
    np.testing.assert_allclose(values, [0, 0.992172, -0.992172, 0.16], rtol=1e-6)


def test_every_code_survives_a_round_trip(functions):
    quantize, dequantize = functions
    codes = np.arange(-128, 128).astype(np.int8)

    np.testing.assert_array_equal(quantize(dequantize(codes)), codes)


def test_no_data_is_nan_and_minus_128(functions):
    quantize, dequantize = functions
    codes = quantize(np.array([[0.5, np.nan]], np.float32))

    assert codes.dtype == np.int8
    assert codes[0, 1] == configs.fields.quantize.NO_DATA == -128
    np.testing.assert_array_equal(np.isnan(dequantize(codes)), [[False, True]])


def test_codes_that_are_not_int8_are_refused(functions):
    _, dequantize = functions
    with pytest.raises(TypeError, match=r"Int8|int8"):
        dequantize(np.zeros(3, np.uint8))


def test_a_unit_vector_keeps_its_direction(functions):
    quantize, dequantize = functions
    vectors = np.random.default_rng(0).normal(size=(1000, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    back = dequantize(quantize(vectors))

    cosine = (vectors * back).sum(-1) / np.linalg.norm(back, axis=-1)
    assert cosine.min() > 0.9995
    np.testing.assert_allclose(np.linalg.norm(back, axis=-1), 1, atol=0.01)


@pytest.mark.skipif(not RELEASED.exists(), reason="the released AlphaEarth vectors are not in shared/data")
def test_released_vectors_keep_their_codes(functions):
    quantize, dequantize = functions
    released = np.load(RELEASED)
    codes = next(array for array in released.values() if array.dtype == np.int8)
    vectors = dequantize(codes)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)

    assert codes.shape == (114, 5, 64)
    assert 0.994 < lengths.min() <= lengths.max() < 1.0061
    np.testing.assert_array_equal(quantize(vectors / lengths), codes)
