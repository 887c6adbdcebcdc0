"""The FLOP formula against XLA's own count of the real, unrolled functions."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from aef_jax.objective import objective
from aef_jax.step import abstract_model
from configs.batch import Batch, BottleneckNoise, Frames, Target
from configs.cost import forward_flops, training_flops
from configs.presets import PAPER, TINY
from configs.timecode import PERIOD_CODE_WIDTH, RELATIVE_TIMECODE_WIDTH, TIMECODE_WIDTH

FRAMES = {"sentinel2": 6, "landsat": 3, "sentinel1": 2}
TARGETS = ("sentinel2", "glo30")
# wide, so that products outweigh what the formula leaves out
CONFIG = replace(
    TINY,
    model=replace(
        TINY.model, d_precision=160, d_exchange=256, d_time=384, d_space=512, decoder_width=256, block_loop="unroll"
    ),
    data=replace(TINY.data, tile_side=64),
)


def shape(*lengths, dtype=jnp.float32):
    return jax.ShapeDtypeStruct((1, *lengths), dtype)


def abstract_frames(config):
    side = config.data.tile_side
    return {
        source.name: Frames(
            shape(FRAMES[source.name], side, side, source.channels),
            shape(FRAMES[source.name], TIMECODE_WIDTH),
            shape(FRAMES[source.name], dtype=bool),
        )
        for source in config.input_sources
    }


def abstract_batch(config):
    side, targets = config.data.tile_side, {}
    for source in config.decoded_sources:
        if source.name in TARGETS:
            grid = (side, side, source.channels)
            when, metadata = shape(RELATIVE_TIMECODE_WIDTH * source.timed), shape(source.metadata_width)
            code, offset = shape(PERIOD_CODE_WIDTH), shape(2, dtype=jnp.int32)
            targets[source.name] = Target(shape(*grid), shape(*grid, dtype=bool), code, when, metadata, offset)
    frames = abstract_frames(config)
    return Batch(frames, {name: f.present for name, f in frames.items()}, targets, shape(PERIOD_CODE_WIDTH))


def xla_flops(function, *arguments) -> float:
    return jax.jit(function).lower(*arguments).cost_analysis()["flops"]


def test_forward_flops_are_those_that_xla_counts():
    graph, params = abstract_model(CONFIG)
    counted = xla_flops(
        lambda params, frames, periods: nnx.merge(graph, params)(frames, periods),
        params,
        abstract_frames(CONFIG),
        shape(3, PERIOD_CODE_WIDTH),
    )
    assert sum(forward_flops(CONFIG, FRAMES, periods=3).values()) == pytest.approx(counted, rel=0.03)


def test_training_flops_are_those_that_xla_counts():
    graph, params = abstract_model(CONFIG)
    grid = (len(TARGETS), CONFIG.data.tile_side, CONFIG.data.tile_side)
    noise = BottleneckNoise(shape(*grid), shape(*grid, CONFIG.model.embedding))

    def gradients(params, batch, noise):
        return jax.grad(lambda p: objective(nnx.merge(graph, p), batch, noise, CONFIG)[0])(params)

    counted = xla_flops(gradients, params, abstract_batch(CONFIG), noise)
    assert sum(training_flops(CONFIG, FRAMES, TARGETS).values()) == pytest.approx(counted, rel=0.05)


def test_remat_adds_one_forward_pass_of_the_blocks():
    with_remat = replace(CONFIG, model=replace(CONFIG.model, remat="block"))
    extra = {
        name: flops - training_flops(CONFIG, FRAMES, TARGETS)[name]
        for name, flops in training_flops(with_remat, FRAMES, TARGETS).items()
    }
    once = forward_flops(CONFIG, FRAMES, periods=1)
    blocks = ("precision", "time", "space", "exchange")
    assert extra == {name: 2 * once[name] if name in blocks else 0 for name in extra}


def test_paper_costs_tens_of_teraflops_per_sequence():
    budgets = {source.name: source.frame_budget for source in PAPER.input_sources}
    assert sum(budgets.values()) == 103
    assert 1e13 < sum(forward_flops(PAPER, budgets, periods=11).values()) < 3e13
    assert np.isclose(forward_flops(PAPER, budgets, 11)["space"], 15 * 103 * 64 * 2 * (12 * 1024**2 + 128 * 1024))
