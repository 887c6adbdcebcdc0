"""Tests of the formula for a step's memory traffic, against the model's own products, and of the roofline."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from aef_jax.aot.abstract_batch import abstract_batch
from aef_jax.aot.cost.chips import CHIPS
from aef_jax.aot.cost.parameters import operator_weights
from aef_jax.aot.cost.roofline import Operator, Roofline, compute_roofline
from aef_jax.aot.cost.traffic import FrameCounts, forward_activations, training_traffic
from aef_jax.aot.hlo.collectives import Collective
from aef_jax.model.operators import PrecisionOperator, SpaceOperator, TimeOperator
from aef_jax.model.pyramid import Analysis, Exchange, Synthesis
from aef_jax.sharding.mesh import single_device_mesh
from aef_jax.training.step import abstract_model
from configs.encodings.timecode import TIMECODE_WIDTH
from tests.support.data.sample_batch import SHRUNK

FRAMES = FrameCounts({"sentinel2": 3, "landsat": 2}, periods=4)
TOTAL = 5
MODEL, SIDE = replace(SHRUNK.model, num_blocks=1), 32
CONFIG = replace(SHRUNK, model=MODEL, data=replace(SHRUNK.data, tile_side=SIDE))
WIDTHS = {"P": MODEL.d_precision, "X": MODEL.d_exchange, "T": MODEL.d_time, "S": MODEL.d_space}
FOLDS = {"P": 2, "X": 4, "T": 8, "S": 16}


def state(level: str) -> jax.ShapeDtypeStruct:
    side = SIDE // FOLDS[level]
    return jax.ShapeDtypeStruct((1, TOTAL, side, side, WIDTHS[level]), jnp.float32)


def bytes_of(levels: str) -> int:
    """Sum the bytes of one state per letter."""
    return 4 * sum(math.prod(state(level).shape) for level in levels)


def products(function, *arguments) -> int:
    """Sum the bytes that all products of a function read and write, except weights."""
    moved = 0
    for equation in jax.make_jaxpr(function)(*arguments).eqns:
        moved += _of_products(equation)
    return moved


def _of_products(equation) -> int:
    inner = [p.jaxpr for p in equation.params.values() if hasattr(p, "jaxpr")]
    moved = sum(_of_products(e) for jaxpr in inner for e in jaxpr.eqns)
    if equation.primitive.name in ("dot_general", "conv_general_dilated"):
        left, right = (x.aval for x in equation.invars)
        convolution = equation.primitive.name == "conv_general_dilated"
        arrays = [equation.outvars[0].aval, left] + [right] * (right.ndim > 2 and not convolution)
        moved += 4 * sum(math.prod(array.shape) for array in arrays)
    return moved


def made(module, *arguments):
    graph, params = nnx.split(nnx.eval_shape(lambda: module(*arguments, rngs=nnx.Rngs(0))))
    return lambda params, *x: nnx.merge(graph, params)(*x), params


def test_block_traffic_is_matmuls_norms_residuals_and_logits():
    moved = forward_activations(CONFIG, FRAMES)
    codes, present = (
        jax.ShapeDtypeStruct((1, TOTAL, TIMECODE_WIDTH), jnp.float32),
        jax.ShapeDtypeStruct((1, TOTAL), bool),
    )

    run, params = made(PrecisionOperator, MODEL.d_precision)
    assert moved["precision"] == products(run, params, state("P")) + bytes_of("PP" + "P")

    run, params = made(TimeOperator, MODEL.d_time, MODEL.heads_time, MODEL.mlp_ratio, TIMECODE_WIDTH)
    conditioning = (
        4 * TOTAL * (TIMECODE_WIDTH + MODEL.d_time)
    )  # the product with the timecodes: too small for the formula
    logits = 4 * MODEL.heads_time * (SIDE // 8) ** 2 * TOTAL**2
    expected = products(run, params, state("T"), codes, present) - conditioning
    assert moved["time"] == expected + bytes_of("TTT" + "TT" + "TT") + 2 * logits

    run, params = made(SpaceOperator, MODEL.d_space, MODEL.heads_space, MODEL.mlp_ratio)
    logits = 4 * MODEL.heads_space * (SIDE // 16) ** 4 * TOTAL
    assert moved["space"] == products(run, params, state("S")) + bytes_of("SS" * 2 + "SS") + 2 * logits

    run, params = made(Exchange, MODEL)
    states = [state(level) for level in "PTS"]
    assert moved["exchange"] == products(run, params, *states) + bytes_of("PP" + "TT" * 2 + "SS" + "PXTTS")


def test_pyramid_traffic_is_matmuls_norms_and_residuals():
    down, params_down = made(Analysis, MODEL)
    up, params_up = made(Synthesis, MODEL)
    run_up = lambda params, *states: up(params, states[0], None, *states[1:])  # noqa: E731
    moved = products(down, params_down, state("P"))
    moved += products(run_up, params_up, *(state(level) for level in "PTS"))
    assert forward_activations(CONFIG, FRAMES)["pyramid"] == moved + bytes_of("PP" + "SS" + "TT" + "PT")


def test_traffic_scales_with_blocks_and_dtype():
    moved = forward_activations(CONFIG, FRAMES)
    deeper = forward_activations(replace(CONFIG, model=replace(MODEL, num_blocks=7)), FRAMES)
    half = forward_activations(replace(CONFIG, model=replace(MODEL, compute_dtype="bfloat16")), FRAMES)
    for name in ("precision", "time", "space", "exchange"):
        assert deeper[name] == 7 * moved[name]
        assert half[name] == moved[name] / 2
    assert deeper["summary"] == moved["summary"]


def test_training_moves_three_times_and_remat_four_times_as_much():
    weights = operator_weights(CONFIG)
    targets = tuple(source.name for source in CONFIG.decoded_sources)
    forward = forward_activations(CONFIG, FRAMES)
    sequence, device = training_traffic(CONFIG, FRAMES, None, targets, weights)
    assert sequence["exchange"] == 3 * forward["exchange"]
    assert device["exchange"] == 3 * 4 * weights["exchange"]
    assert "saved states" not in sequence

    remat = replace(CONFIG, model=replace(MODEL, remat="block"))
    sequence, device = training_traffic(remat, FRAMES, FRAMES, targets, weights, shards=2)
    assert sequence["exchange"] == 2 * 4 * forward["exchange"]
    assert sequence["summary"] == 2 * 3 * forward["summary"]
    assert sequence["saved states"] == 2 * 3 * bytes_of("PTS")
    assert device["exchange"] == 2 * 4 * 4 * weights["exchange"]
    assert device["optimizer"] == 8 * 4 * sum(weights.values()) / 2


def test_each_part_of_a_batch_reads_the_weights_again():
    weights = operator_weights(CONFIG)
    parts = replace(CONFIG, training=replace(CONFIG.training, batch=6, grad_accum_steps=3))
    sequence, device = training_traffic(CONFIG, FRAMES, None, (), weights)
    in_parts, device_in_parts = training_traffic(parts, FRAMES, None, (), weights)
    assert in_parts == sequence
    adam = device.pop("optimizer")
    assert device_in_parts == {name: 3 * moved for name, moved in device.items()} | {"optimizer": adam}


def test_every_parameter_belongs_to_an_operator():
    weights = operator_weights(SHRUNK)
    leaves = jax.tree.leaves(abstract_model(SHRUNK)[1])
    assert sum(weights.values()) == sum(leaf.size for leaf in leaves)
    assert all(weights.values())


def test_operator_time_is_the_longest_and_hidden_time_is_zero():
    operators = (Operator("a", 6, 3, flop_seconds=2, memory_seconds=1), Operator("b", 4, 2, 1, memory_seconds=5))
    floor = Roofline(operators, exposed_seconds=0.5, hidden_seconds=100)
    assert (floor.seconds, floor.flops, floor.bytes, floor.hours(3600)) == (7.5, 10, 5, 7.5)


@pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)
def test_chips_are_plausible(chip):
    assert 100 < chip.peak_flops / chip.hbm_bandwidth < 1000  # operations per byte
    assert 5 < chip.hbm_bandwidth / chip.link_bandwidth < 30
    assert 0.9e9 < chip.clock < 2e9
    assert chip.topology.startswith(f"{chip.name}:")


@pytest.mark.slow
def test_a_step_waits_for_exposed_collectives_in_each_run():
    chip, batch = replace(CHIPS["v4"], link_bandwidth=3), abstract_batch(SHRUNK, single_device_mesh())
    sent = [
        Collective("all-reduce", 10, 4, 30.0, (5,), (), 5, "", hidden=12.0),
        Collective("all-gather", 10, 4, 6.0, (), (), 1, ""),
    ]
    mesh = {"data": 1, "fsdp": 1, "seq": 1}
    floor = compute_roofline(SHRUNK, batch, operator_weights(SHRUNK), mesh, chip, sent)
    assert floor.exposed_seconds == 5 * 18 / 3 + 6 / 3
    assert floor.hidden_seconds == 5 * 12 / 3
    alone = compute_roofline(SHRUNK, batch, operator_weights(SHRUNK), mesh, chip, ())
    assert floor.seconds == alone.seconds + floor.exposed_seconds
