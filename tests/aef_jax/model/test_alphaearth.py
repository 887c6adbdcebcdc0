"""The JAX model meets the contract with scanned and unrolled blocks, and compiles once."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from aef_jax.model.alphaearth import AlphaEarth
from aef_jax.model.stp import STPEncoder
from configs.batch import Frames
from configs.encodings.timecode import PERIOD_CODE_WIDTH, TIMECODE_WIDTH
from configs.fake_batch import random_periods
from configs.presets import PAPER
from tests.support.contracts.model_contract import ONE_BLOCK, ModelContract
from tests.support.data.sample_batch import SHRUNK, random_frames

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compiles")]

UNOPTIMISED = {"xla_backend_optimization_level": 0}
"""Halves the time to compile; for tests of results, not of speed."""


def _drawn(build) -> tuple[nnx.GraphDef, nnx.State]:
    """Split a model as `nnx.split(build())` does, with weights from NumPy: XLA would compile each initializer."""
    graph, state = nnx.split(nnx.eval_shape(build))
    generator = np.random.default_rng(0)

    def weights(path, leaf):
        if "scale" in jax.tree_util.keystr(path):
            return jnp.ones(leaf.shape, leaf.dtype)
        fan_in = leaf.size / leaf.shape[-1] if "kernel" in jax.tree_util.keystr(path) else 100
        return jnp.asarray(generator.standard_normal(leaf.shape) * fan_in**-0.5, leaf.dtype)

    return graph, jax.tree.map_with_path(weights, state)


@cache
def _model(config):
    """Return the graph, the state, and the compiled functions of (state, frames, periods)."""
    graph, state = _drawn(lambda: AlphaEarth(config, rngs=nnx.Rngs(0)))

    @jax.jit
    def fields(state, frames, periods):
        return nnx.merge(graph, state)(frames, periods)

    @partial(jax.jit, compiler_options=UNOPTIMISED)
    @jax.grad
    def gradients(differentiated, frames, periods):
        state, pixels = differentiated
        frames = {name: f._replace(pixels=pixels[name]) for name, f in frames.items()}
        return nnx.merge(graph, state)(frames, periods)[..., 0].sum()

    return graph, state, fields, gradients


class TestModel(ModelContract):
    def fields(self, config, frames, periods):
        _, state, fields, _ = _model(config)
        return np.asarray(fields(state, frames, periods))

    def gradients(self, config, frames, periods):
        _, state, _, gradients = _model(config)
        actual = gradients((state, {name: f.pixels for name, f in frames.items()}), frames, periods)
        return {jax.tree_util.keystr(path): np.asarray(g) for path, g in jax.tree.leaves_with_path(actual) if g.any()}

    def decode(self, config, source, *given):
        graph, state, *_ = _model(config)
        return np.asarray(nnx.merge(graph, state).decode(source, *map(jnp.asarray, given)))

    def embed_text(self, config, *given):
        graph, state, *_ = _model(config)
        return np.asarray(nnx.merge(graph, state).embed_text(*map(jnp.asarray, given)))


def test_it_compiles_once_whatever_the_data():
    graph, state, *_ = _model(ONE_BLOCK)
    fields = jax.jit(lambda state, frames, periods: nnx.merge(graph, state)(frames, periods))
    for seed in range(3):
        fields(state, random_frames(seed=seed), random_periods(seed=seed))
    none = {name: f._replace(present=np.zeros_like(f.present)) for name, f in random_frames().items()}
    fields(state, none, random_periods())
    assert fields._cache_size() == 1


@cache
def _encoded(block_loop: str, remat: str) -> dict[str, np.ndarray]:
    """Compute an encoder's output and gradients in float64, by name."""
    model = replace(SHRUNK.model, block_loop=block_loop, remat=remat)
    generator = np.random.default_rng(0)
    precision, timecodes = (
        generator.standard_normal((2, 3, 16, 16, 8)),
        generator.standard_normal((2, 3, TIMECODE_WIDTH)),
    )
    present = np.array([[True, False, True], [False, True, False]])
    graph, state = _drawn(lambda: STPEncoder(model, rngs=nnx.Rngs(0)))
    with jax.enable_x64(True):
        state = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), state)
        timecodes, present = jnp.asarray(timecodes), jnp.asarray(present)

        def total(state, precision):
            encoded = nnx.merge(graph, state)(precision, timecodes, present)
            return jnp.sum(encoded**2), encoded

        compiled = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True), compiler_options=UNOPTIMISED)
        results = jax.tree.leaves_with_path(compiled(state, precision))
        return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in results}


@pytest.mark.parametrize(
    ("block_loop", "remat"),
    [("unroll", "block"), ("unroll", "dots"), ("scan", "none"), ("scan", "block"), ("scan", "dots")],
)
def test_loop_and_remat_change_nothing(block_loop, remat):
    expected = _encoded("unroll", "none")
    for name, actual in _encoded(block_loop, remat).items():
        assert actual.dtype == np.float64
        error = np.linalg.norm(actual - expected[name]) / np.linalg.norm(expected[name])
        assert error <= 1e-13, f"{name}: {error}"


@pytest.mark.parametrize("block_loop", ["scan", "unroll"])
def test_it_works_without_graph_mode(block_loop):
    config = replace(ONE_BLOCK, model=replace(ONE_BLOCK.model, block_loop=block_loop))
    frames, periods = jax.tree.map(jnp.asarray, (random_frames(), random_periods()))
    with nnx.set_graph_mode(False):
        graph, state = _drawn(lambda: AlphaEarth(config, rngs=nnx.Rngs(0)))
        fields = jax.jit(lambda model: model(frames, periods))(nnx.merge(graph, state))
    np.testing.assert_allclose(fields, TestModel().fields(ONE_BLOCK, frames, periods), atol=2e-6)


def test_paper_has_480_million_parameters():
    model = nnx.eval_shape(lambda: AlphaEarth(PAPER, rngs=nnx.Rngs(0)))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model)))
    assert parameters == pytest.approx(480e6, rel=0.03)


def test_paper_has_the_papers_shapes():
    model = nnx.eval_shape(lambda: AlphaEarth(PAPER, rngs=nnx.Rngs(0)))
    batch, side = 2, PAPER.data.tile_side
    frames = {
        s.name: Frames(
            jax.ShapeDtypeStruct((batch, s.frame_budget, side, side, s.channels), jnp.float32),
            jax.ShapeDtypeStruct((batch, s.frame_budget, TIMECODE_WIDTH), jnp.float32),
            jax.ShapeDtypeStruct((batch, s.frame_budget), bool),
            jax.ShapeDtypeStruct((batch, s.frame_budget, s.channels), bool),
        )
        for s in PAPER.input_sources
    }
    periods = jax.ShapeDtypeStruct((batch, 11, PERIOD_CODE_WIDTH), jnp.float32)
    graph, state = nnx.split(model)

    def run(state, frames, periods):
        model = nnx.merge(graph, state)
        encoded = model.encode(frames)
        return encoded, model.summarize(encoded, periods)

    encoded, fields = jax.eval_shape(run, state, frames, periods)
    assert encoded.features.shape == (batch, 103, 64, 64, 128)
    assert encoded.present.shape == (batch, 103)
    assert fields.shape == (batch, 11, 128, 128, 64)
    block = model.encoder.blocks
    assert [tuple(w.shape) for w in (block.time.mlp.hidden.kernel, block.space.mlp.hidden.kernel)] == [
        (15, 512, 2048),
        (15, 1024, 4096),
    ]
