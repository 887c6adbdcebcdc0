"""Tests of `aef compile`: what it refuses, and a small step that it compiles for a machine of TPUs."""

import importlib.util
import json
import sys
from dataclasses import replace

import jax
import pytest

from aef_jax.aot import compile
from aef_jax.aot.command import compile_command
from aef_jax.aot.compile import compile_step
from aef_jax.aot.cost.chips import CHIPS, topology_devices
from aef_jax.aot.memory import bytes_per_device, explain_xla_error
from aef_jax.console.units import readable
from aef_jax.sharding.mesh import make_mesh
from aef_jax.training.step import abstract_state
from configs.config import Config
from configs.mesh import MeshConfig
from configs.sources import SENTINEL2
from tests.aef_jax.conftest import BRIEF

GIB, BLOCKS = 2**30, 3
needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="XLA's compiler for TPUs is not installed: pip install aef[tpu]"
)
# without the parts that take the compiler long: the student's pass and the noise
SCANNED: Config = replace(
    BRIEF,
    model=replace(
        BRIEF.model,
        d_precision=8,
        d_exchange=8,
        d_time=8,
        d_space=8,
        num_blocks=BLOCKS,
        mlp_ratio=1,
        embed_dim=8,
        decoder_width=8,
        block_loop="scan",
        remat="block",
    ),
    training=replace(BRIEF.training, batch=4),
    objective=replace(BRIEF.objective, consistency=0.0, uniformity=0.0, noise=False),
    data=replace(BRIEF.data, tile_side=16),
    sources=(replace(SENTINEL2, frame_budget=4, shift_invariant_m=0),),
)


@pytest.mark.parametrize(
    ("topology", "message"),
    [
        ("v9:2x2", "expected a chip and the sides of its torus"),
        ("v4", "expected a chip and the sides of its torus"),
        ("v4:2x0x1", "expected a chip and the sides of its torus"),
        ("v4:16x16", "expected 3 sides, as in v4:8x8x8"),
        ("v5e:2x2x2", "expected 2 sides, as in v5e:16x16"),
        ("v4:1000x1000x1000", "1,000,000,000 chips, expected at most 4,096, the largest machine of v4"),
        ("v5e:16x32", "512 chips, expected at most 256"),
        ("v5p:16x16x36", "9,216 chips, expected at most 8,960"),
        ("v6e:32x16", "512 chips, expected at most 256"),
    ],
)
def test_impossible_topologies_are_refused(topology, message):
    with pytest.raises(ValueError, match=message):
        topology_devices(topology)


def test_missing_tpu_compiler_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "libtpu", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'aef\[tpu\]'"):
        topology_devices("v4:8x8x8")


@pytest.fixture(scope="module")
def state():
    return abstract_state(SCANNED, make_mesh(MeshConfig(), jax.devices()[:1]))


def refused(gigabytes: float, available: float) -> str:
    return (
        "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries"
        f" ({gigabytes:.2f}G) exceeds available HBM ({available:.2f}G)."
    )


def test_suggested_changes_make_the_step_fit(state):
    mesh = {"data": 2, "fsdp": 1, "seq": 1}
    config = replace(SCANNED, training=replace(SCANNED.training, batch=8))
    sentence = explain_xla_error(refused(40, 30.75), config, mesh, state)
    assert sentence is not None
    assert "42.95 GB" in sentence
    assert "33.02 GB" in sentence
    assert "--training.grad_accum_steps 2" in sentence
    assert "--model.compute_dtype bfloat16" in sentence
    assert "seq=2 on 2 times the chips" in sentence
    assert sentence.endswith("on 2 times the chips would fit")  # recomputing blocks is on
    assert "fsdp=" not in sentence  # the parameters it splits are small

    sentence = explain_xla_error(refused(100, 30.75), config, mesh, state)
    assert sentence is not None
    assert "--training.grad_accum_steps 4" in sentence  # 25 G of 100
    assert "bfloat16" not in sentence  # half would still be too much
    assert "more chips" in (explain_xla_error(refused(1e6, 30.75), config, mesh, state) or "")


def test_remat_is_suggested_as_a_possibility(state):
    mesh = {"data": 1, "fsdp": 1, "seq": 1}
    config = replace(SCANNED, model=replace(SCANNED.model, remat="none"))
    sentence = explain_xla_error(refused(40, 30.75), config, mesh, state) or ""
    assert sentence.endswith("on 2 times the chips would fit; --model.remat block may be enough")
    sentence = explain_xla_error(refused(1e6, 30.75), config, mesh, state) or ""
    assert sentence.endswith(": --model.remat block may be enough; otherwise it needs more chips, or larger ones")


@pytest.mark.parametrize(
    ("parts", "needed", "available", "proposed"),
    [
        (1, 1.2, 1.1, None),  # accumulation adds a quarter
        (1, 1.6, 1.4, "--training.grad_accum_steps 4 "),  # 1 + 1/4 + 0.6/4: half of 0.6 would be too much
        (2, 1.6, 1.35, "--training.grad_accum_steps 8 "),  # `needed` already includes the quarter: 1 + 1/4 + 0.35/4
    ],
)
def test_gradient_accumulation_needs_memory_of_its_own(state, parts, needed, available, proposed):
    # the unit is parameters, gradients and both moments together, each a quarter of it
    fixed = (bytes_per_device(state) + bytes_per_device(state.params)) / GIB
    assert fixed == pytest.approx(4 * bytes_per_device(state.params) / GIB, rel=1e-3)
    config = replace(SCANNED, training=replace(SCANNED.training, batch=8, grad_accum_steps=parts))
    large = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1_000_000, *x.shape), x.dtype, sharding=x.sharding), state)
    error = refused(needed * fixed * 1e6, available * fixed * 1e6)
    sentence = explain_xla_error(error, config, {"data": 1, "fsdp": 1, "seq": 1}, large) or ""
    assert ("--training.grad_accum_steps" in sentence) == (proposed is not None)
    assert proposed is None or proposed in sentence


def test_fsdp_is_suggested_if_parameters_do_not_fit(state):
    fixed = bytes_per_device(state) + bytes_per_device(state.params)
    error = refused(1.2 * fixed / GIB * 1e6, fixed / GIB * 1e6)  # for a state a million times as large
    large = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1_000_000, *x.shape), x.dtype, sharding=x.sharding), state)
    sentence = explain_xla_error(error, SCANNED, {"data": 4, "fsdp": 1, "seq": 1}, large)
    assert sentence is not None
    assert "--mesh data=2,fsdp=2,seq=1" in sentence


@pytest.mark.slow
def test_compiled_step_that_exceeds_chip_memory_is_reported(monkeypatch):
    # a CPU stands in for a chip with a kilobyte of memory
    small = replace(CHIPS["v4"], hbm_bytes=1000)
    monkeypatch.setattr(compile, "topology_devices", lambda topology: (small, jax.devices()[:1]))
    with pytest.raises(ValueError, match=r"v4:1x1x1: the step needs [\d.]+ kB per chip, .* XLA has 1 kB: "):
        compile.compile_step(replace(SCANNED, mesh=MeshConfig()), "v4:1x1x1", full=True)


def test_other_xla_errors_are_not_explained_as_memory(state):
    assert explain_xla_error("INTERNAL: something else", SCANNED, {"data": 1, "fsdp": 1, "seq": 1}, state) is None


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 "), (999, "999 "), (1000, "1 k"), (3.3e10, "33 G"), (2.75e14, "275 T")]
)
def test_numbers_are_readable(number, text):
    assert readable(number) == text


@needs_libtpu
def test_a_topology_that_xla_refuses_is_reported():
    with pytest.raises(ValueError, match="v4:3x5x7"):
        topology_devices("v4:3x5x7")


@needs_libtpu
def test_a_step_is_compiled_for_four_chips(tmp_path, capsys):
    report = tmp_path / "report.json"
    # as many parts as blocks: the loop over parts must not be mistaken for the loop over blocks
    training = replace(SCANNED.training, batch=6, grad_accum_steps=BLOCKS)
    config = replace(SCANNED, mesh=MeshConfig(data=2, seq=2), training=training)
    assert compile_command(config, "v4:2x2x1", report) == 0
    printed = capsys.readouterr().out
    written = json.loads(report.read_text())
    assert written["mesh"] == {"data": 2, "fsdp": 1, "seq": 2}
    # parameters, moments and the batch, but little more
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    assert 1 < written["memory"]["arguments"] / bytes_per_device(abstract_state(SCANNED, mesh)) < 20
    assert 0 < written["memory"]["peak"] < 1e9
    # in both directions; forward, recomputed and backward; in each block, for each part
    swaps = written["collectives"]["in_blocks"]["all-to-all"]
    assert swaps["count"] == 2 * 3 * BLOCKS * BLOCKS
    by_kind = written["collectives"]["by_kind"].values()
    exposed = written["roofline"]["exposed_collectives_seconds"]
    assert exposed == pytest.approx(sum(row["exposed_seconds"] for row in by_kind))
    assert exposed > 0
    assert written["roofline"]["hours_of_100000_steps"] > 0
    assert written["xla_estimates"]["seconds"] > 0
    assert "exposed ms" in printed
    assert "all-to-all" in printed
    assert "100,000 steps" in printed


@needs_libtpu
def test_fsdp_gradients_are_reduce_scattered_and_waited_for():
    width = 128
    config = replace(SCANNED, mesh=MeshConfig(fsdp=4), model=replace(SCANNED.model, d_space=width))
    compiled = compile_step(config, "v4:2x2x1")
    scattered = [each for each in compiled.in_blocks if each.kind == "reduce-scatter"]
    # query, key, value and out, and the two layers after, of each block's space operator
    assert sum(each.times * each.payload for each in scattered) == BLOCKS * 6 * width**2 * 4
    assert {(each.group, each.sent / each.payload, each.hidden) for each in scattered} == {(4, 3 / 4 / 2, 0)}
    # parameters are gathered from all four devices, forward, recomputed and backward
    gathered = [each for each in compiled.in_blocks if each.kind == "all-gather"]
    assert {each.group for each in gathered} == {4}
