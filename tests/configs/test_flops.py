"""The FLOP formula agrees with XLA's count of the real, unrolled functions."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from aef_jax.training.objective import objective
from aef_jax.training.step import abstract_model
from configs.batch import Batch, BottleneckNoise, Frames, Student, Target, Text
from configs.encodings.timecode import PERIOD_CODE_WIDTH, RELATIVE_TIMECODE_WIDTH, TIMECODE_WIDTH
from configs.flops import forward_flops, text_flops, training_flops
from configs.presets import PAPER, TINY

FRAMES = {"sentinel2": 6, "landsat": 3, "sentinel1": 2}
STUDENT = {"sentinel2": 3, "landsat": 3, "sentinel1": 1}
TARGETS = ("sentinel2", "glo30")
# wide layers, so that products dominate the operations that the formula does not count
CONFIG = replace(
    TINY,
    model=replace(
        TINY.model, d_precision=256, d_exchange=256, d_time=384, d_space=512, decoder_width=256, block_loop="unroll"
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
            shape(FRAMES[source.name], source.channels, dtype=bool),
        )
        for source in config.input_sources
    }


def abstract_batch(config):
    side, targets = config.data.tile_side, {}
    for source in config.decoded_sources:
        if source.name in TARGETS:
            grid = (side, side, source.channels)
            time_code, metadata = shape(RELATIVE_TIMECODE_WIDTH * source.timed), shape(source.metadata_width)
            period, offset = shape(PERIOD_CODE_WIDTH), shape(2, dtype=jnp.int32)
            targets[source.name] = Target(shape(*grid), shape(*grid, dtype=bool), period, time_code, metadata, offset)
    code = shape(PERIOD_CODE_WIDTH)
    student = {name: Student(shape(seen, dtype=jnp.int32), shape(seen, dtype=bool)) for name, seen in STUDENT.items()}
    text = Text(shape(config.model.text_width), shape(2, dtype=jnp.int32), code, shape(dtype=bool))
    return Batch(abstract_frames(config), student, targets, code, text)


def xla_flops(function, *arguments) -> float:
    return jax.jit(function).lower(*arguments).cost_analysis()["flops"]


@pytest.mark.slow
def test_forward_flops_are_those_that_xla_counts():
    graph, params = abstract_model(CONFIG)
    counted = xla_flops(
        lambda params, frames, periods: nnx.merge(graph, params)(frames, periods),
        params,
        abstract_frames(CONFIG),
        shape(3, PERIOD_CODE_WIDTH),
    )
    assert sum(forward_flops(CONFIG, FRAMES, periods=3).values()) == pytest.approx(counted, rel=0.03)


def without(**weights: float):
    return replace(CONFIG, objective=replace(CONFIG.objective, **weights))


@cache
def xla_training_flops(config) -> float:
    graph, params = abstract_model(config)
    grid = (len(TARGETS), config.data.tile_side, config.data.tile_side)
    noise = BottleneckNoise(shape(*grid), shape(*grid, config.model.embed_dim))

    def gradients(params, batch, noise):
        return jax.grad(lambda p: objective(nnx.merge(graph, p), batch, noise, config)[0])(params)

    return xla_flops(gradients, params, abstract_batch(config), noise)


@pytest.mark.slow
@pytest.mark.parametrize("ablated", [{}, {"consistency": 0}, {"reconstruction": 0}, {"text": 0}])
def test_training_flops_are_those_that_xla_counts(ablated):
    config = without(**ablated)
    counted = xla_training_flops(config)
    assert sum(training_flops(config, FRAMES, STUDENT, TARGETS, text=True).values()) == pytest.approx(counted, rel=0.05)


@pytest.mark.slow
def test_text_costs_a_period_and_its_head():
    counted = xla_training_flops(CONFIG) - xla_training_flops(without(text=0))
    flops = training_flops(CONFIG, FRAMES, STUDENT, TARGETS, text=True)
    for no_text in (
        training_flops(CONFIG, FRAMES, STUDENT, TARGETS, text=False),
        training_flops(without(text=0), FRAMES, STUDENT, TARGETS, text=True),
    ):
        extra = {name: flops[name] - no_text[name] for name in flops}
        assert {name for name, number in extra.items() if number} == {"summary", "text head"}
        assert sum(extra.values()) == pytest.approx(counted, rel=0.05)


@pytest.mark.slow
def test_text_head_costs_what_xla_counts():
    config = replace(CONFIG, model=replace(CONFIG.model, decoder_width=2048))
    graph, params = abstract_model(config)
    counted = xla_flops(
        lambda params, sentence, period: nnx.merge(graph, params).embed_text(sentence, period),
        params,
        shape(config.model.text_width),
        shape(PERIOD_CODE_WIDTH),
    )
    assert text_flops(config.model) == pytest.approx(counted, rel=0.03)


def test_the_student_costs_its_own_frames():
    """The student costs three forward passes of its own frames, and nothing without consistency."""
    student = forward_flops(CONFIG, STUDENT, periods=1)
    flops = training_flops(CONFIG, FRAMES, STUDENT, TARGETS, text=True)
    alone = training_flops(without(consistency=0), FRAMES, STUDENT, TARGETS, text=True)
    assert {name: flops[name] - alone[name] for name in student} == {name: 3 * n for name, n in student.items()}


def test_remat_adds_one_forward_pass_of_the_blocks():
    with_remat = replace(CONFIG, model=replace(CONFIG.model, remat="block"))
    extra = {
        name: flops - training_flops(CONFIG, FRAMES, STUDENT, TARGETS, text=True)[name]
        for name, flops in training_flops(with_remat, FRAMES, STUDENT, TARGETS, text=True).items()
    }
    teacher, student = (forward_flops(CONFIG, frames, periods=1) for frames in (FRAMES, STUDENT))
    blocks = ("precision", "time", "space", "exchange")
    assert extra == {name: teacher[name] + student[name] if name in blocks else 0 for name in extra}


def test_paper_costs_tens_of_teraflops_per_sequence():
    budgets = {source.name: source.frame_budget for source in PAPER.input_sources}
    assert sum(budgets.values()) == 103
    assert 1e13 < sum(forward_flops(PAPER, budgets, periods=11).values()) < 3e13
    assert np.isclose(forward_flops(PAPER, budgets, 11)["space"], 15 * 103 * 64 * 2 * (12 * 1024**2 + 128 * 1024))


@pytest.mark.slow
def test_recomputed_flops_are_those_that_xla_counts():
    """`block` recomputes everything; `dots` only attention, which the formula does not count."""
    counted = {remat: xla_training_flops(recomputing(remat)) for remat in ("none", "dots", "block")}
    flops = {
        remat: sum(training_flops(recomputing(remat), FRAMES, STUDENT, TARGETS, text=True).values())
        for remat in counted
    }
    assert flops["block"] - flops["none"] == pytest.approx(counted["block"] - counted["none"], rel=0.05)
    assert flops["dots"] == flops["none"]
    assert 0 < counted["dots"] - counted["none"] < 0.1 * (counted["block"] - counted["none"])


def recomputing(remat):
    return replace(CONFIG, model=replace(CONFIG.model, remat=remat))
