"""On a single CPU device XLA uses the intended libraries, and they compute what XLA does."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from aef_jax.model.layers import Conv, Down
from aef_jax.model.operators import PrecisionOperator
from aef_jax.model.pyramid import Analysis
from aef_jax.model.summary import TemporalSummary
from aef_jax.sharding.compiler_options import compiler_options
from aef_jax.sharding.mesh import single_device_mesh, with_mesh
from configs.encodings.timecode import PERIOD_CODE_WIDTH, TIMECODE_WIDTH
from configs.presets import SMALL
from tests.support.compiling import applied

PRECISION = (2, 16, 16, 16, SMALL.model.d_precision)  # with fewer frames YNNPACK would not take the convolution


def test_disabled_optimizations_take_the_least_effort():
    for disabled, level in ((False, "1"), (True, "0")):
        with applied({"jax_disable_most_optimizations": disabled}):
            assert compiler_options(single_device_mesh())["xla_backend_optimization_level"] == level


def _normal(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def _with_biases(module: nnx.Module) -> tuple[nnx.GraphDef, nnx.State]:
    """Add noise to the biases: zeros would hide a bias that is dropped or added twice."""
    graph, state = nnx.split(module)
    return graph, jax.tree.map(lambda x: x + 0.1 * _normal(0, *x.shape) if x.ndim == 1 else x, state)


def _compiled(function, *arguments, gradients: bool) -> jax.stages.Compiled:
    mesh = single_device_mesh()
    options = compiler_options(mesh, gradients)
    return jax.jit(with_mesh(mesh, function), compiler_options=options).lower(*arguments).compile()


def _outside_of_fusions(text: str) -> tuple[int, int]:
    """Count a program's convolutions: those outside of fusions, and all."""
    entry = text[text.index("\nENTRY ") :]
    return tuple(len(re.findall(r" convolution\(|__onednn\$convolution", part)) for part in (entry, text))


@pytest.mark.slow
def test_ynnpack_takes_no_convolution_of_a_forward_pass():
    graph, state = _with_biases(PrecisionOperator(SMALL.model.d_precision, rngs=nnx.Rngs(0)))
    operator = lambda state, x: nnx.merge(graph, state)(x)  # noqa: E731
    text = _compiled(operator, state, _normal(1, *PRECISION), gradients=False).as_text()
    assert _outside_of_fusions(text) == (2, 2)


@pytest.mark.skipif(jax.__version_info__ < (0, 11), reason="XLA has no oneDNN for CPUs before JAX 0.11")
def test_onednn_takes_every_convolution_of_forward_and_backward():
    graph, state = _with_biases(Analysis(SMALL.model, rngs=nnx.Rngs(0)))
    total = lambda state, x: sum(jnp.sum(y**2) for y in nnx.merge(graph, state)(x))  # noqa: E731
    text = _compiled(jax.grad(total, argnums=(0, 1)), state, _normal(1, *PRECISION), gradients=True).as_text()
    assert not re.search(r" convolution\(", text)
    assert text.count('custom_call_target="__onednn$convolution"') == 9  # three steps down, and two gradients of each


@pytest.mark.slow
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("part", ["analysis", "summary"])
def test_the_libraries_compute_what_xla_does(part, gradients):
    """XLA's oneDNN passes have two bugs that these cases would show.

    A GELU that is fused with a convolution is given to all readers of its input (here the time state). An addend of a
    transposed product is not transposed (the gradient of the summary's queries).
    """
    features = _normal(1, *PRECISION)
    if part == "analysis":
        module, arguments = Analysis(SMALL.model, rngs=nnx.Rngs(0)), (features,)
    else:
        module = TemporalSummary(SMALL.model, rngs=nnx.Rngs(0))
        frames = PRECISION[:2]
        periods = _normal(3, frames[0], 12, PERIOD_CODE_WIDTH)
        arguments = features, _normal(2, *frames, TIMECODE_WIDTH), jnp.ones(frames, bool), periods
    graph, state = _with_biases(module)

    def forward(state, *arguments):
        return nnx.merge(graph, state)(*arguments)

    outputs = jax.tree.leaves(jax.eval_shape(forward, state, *arguments))
    seen_with = [_normal(4 + index, *output.shape) for index, output in enumerate(outputs)]

    def total(state, *arguments):
        pairs = zip(jax.tree.leaves(forward(state, *arguments)), seen_with, strict=True)
        return sum(jnp.sum(output * by) for output, by in pairs)

    function = jax.grad(total) if gradients else forward
    actual = _compiled(function, state, *arguments, gradients=gradients)(state, *arguments)
    expected = jax.jit(function)(state, *arguments)
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for x, y in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("layer", [Conv, Down])
def test_loop_gradients_use_convolutions_fast_in_xla(layer):
    """Outside of loops XLA rewrites every convolution to this form; inside it computes others one number at a time."""
    graph, state = nnx.split(layer(8, 8, rngs=nnx.Rngs(0)))
    loop = lambda state, xs: jax.lax.map(lambda x: jnp.sum(nnx.merge(graph, state)(x) ** 2), xs).sum()  # noqa: E731
    gradients = jax.jit(jax.grad(loop, argnums=(0, 1)))
    text = gradients.lower(state, _normal(1, 3, 2, 4, 8, 8, 8)).compile().as_text()
    forms = re.findall(r" convolution\(.*dim_labels=(\S+?)[,\s]", text)
    assert len(forms) >= 2
    assert set(forms) == {"b01f_01io->b01f"}
