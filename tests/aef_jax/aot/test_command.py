"""`aef compile`: what it refuses, in one sentence; and a small step that it compiles for a machine of TPUs."""

import importlib.util
import json
import pickletools
import sys
from dataclasses import replace

import jax
import pytest

from aef_jax.aot import compile
from aef_jax.aot.command import compile_command
from aef_jax.aot.compile import compile_step
from aef_jax.aot.cost.chips import CHIPS, machine
from aef_jax.aot.memory import bytes_per_device, too_big
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
# what takes the compiler long is left out: the student's pass and the noise
SCANNED: Config = replace(
    BRIEF,
    model=replace(BRIEF.model, num_blocks=BLOCKS, embed_dim=8, block_loop="scan", remat="block"),
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
def test_a_machine_that_is_none_is_told(topology, message):
    with pytest.raises(ValueError, match=message):
        machine(topology)


def test_missing_tpu_compiler_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "libtpu", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'aef\[tpu\]'"):
        machine("v4:8x8x8")


@pytest.fixture(scope="module")
def state():
    return abstract_state(SCANNED, make_mesh(MeshConfig(), jax.devices()[:1]))


def refused(gigabytes: float, there: float) -> str:
    return (
        "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries"
        f" ({gigabytes:.2f}G) exceeds available HBM ({there:.2f}G)."
    )


def test_what_would_fit_follows_from_what_is_missing(state):
    mesh = {"data": 2, "fsdp": 1, "seq": 1}
    config = replace(SCANNED, training=replace(SCANNED.training, batch=8))
    sentence = too_big(refused(40, 30.75), config, mesh, state)
    assert sentence is not None
    assert "42.95 GB" in sentence
    assert "33.02 GB" in sentence
    assert "--training.grad_accum_steps 2" in sentence
    assert "--model.compute_dtype bfloat16" in sentence
    assert "seq=2 on 2 times the chips" in sentence
    assert sentence.endswith("on 2 times the chips would fit")  # recomputing blocks is on
    assert "fsdp=" not in sentence  # what it splits is small

    sentence = too_big(refused(100, 30.75), config, mesh, state)
    assert sentence is not None
    assert "--training.grad_accum_steps 4" in sentence  # 25 G of 100
    assert "bfloat16" not in sentence  # half would still be too much
    assert "more chips" in (too_big(refused(1e6, 30.75), config, mesh, state) or "")


def test_whether_recomputing_blocks_is_enough_is_left_open(state):
    mesh = {"data": 1, "fsdp": 1, "seq": 1}
    config = replace(SCANNED, model=replace(SCANNED.model, remat="none"))
    sentence = too_big(refused(40, 30.75), config, mesh, state) or ""
    assert sentence.endswith("on 2 times the chips would fit; --model.remat block may be enough")
    sentence = too_big(refused(1e6, 30.75), config, mesh, state) or ""
    assert sentence.endswith(": --model.remat block may be enough; otherwise it needs more chips, or larger ones")


@pytest.mark.parametrize(
    ("parts", "needed", "there", "proposed"),
    [
        (1, 1.2, 1.1, None),  # a quarter is added
        (1, 1.6, 1.4, "--training.grad_accum_steps 4 "),  # 1 + 1/4 + 0.6/4: half of 0.6 would be too much
        (2, 1.6, 1.35, "--training.grad_accum_steps 8 "),  # it is there already: 1 + 1/4 + 0.35/4
    ],
)
def test_parts_of_a_batch_are_added_up_in_memory_of_their_own(state, parts, needed, there, proposed):
    # in units of parameters, gradients and moments: each is a quarter of that
    fixed = (bytes_per_device(state) + bytes_per_device(state.params)) / GIB
    assert fixed == pytest.approx(4 * bytes_per_device(state.params) / GIB, rel=1e-3)
    config = replace(SCANNED, training=replace(SCANNED.training, batch=8, grad_accum_steps=parts))
    large = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1_000_000, *x.shape), x.dtype, sharding=x.sharding), state)
    error = refused(needed * fixed * 1e6, there * fixed * 1e6)
    sentence = too_big(error, config, {"data": 1, "fsdp": 1, "seq": 1}, large) or ""
    assert ("--training.grad_accum_steps" in sentence) == (proposed is not None)
    assert proposed is None or proposed in sentence


def test_fsdp_is_proposed_where_parameters_are_what_is_too_much(state):
    fixed = bytes_per_device(state) + bytes_per_device(state.params)
    error = refused(1.2 * fixed / GIB * 1e6, fixed / GIB * 1e6)  # a million times what is there
    large = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1_000_000, *x.shape), x.dtype, sharding=x.sharding), state)
    sentence = too_big(error, SCANNED, {"data": 4, "fsdp": 1, "seq": 1}, large)
    assert sentence is not None
    assert "--mesh data=2,fsdp=2,seq=1" in sentence


def test_compiled_step_that_exceeds_chip_memory_is_reported(monkeypatch):
    # on a processor, which stands in for a chip of a kilobyte
    small = replace(CHIPS["v4"], hbm_bytes=1000)
    monkeypatch.setattr(compile, "machine", lambda topology: (small, jax.devices()[:1]))
    with pytest.raises(ValueError, match=r"v4:1x1x1: the step needs [\d.]+ kB per chip, .* XLA has 1 kB: "):
        compile.compile_step(replace(SCANNED, mesh=MeshConfig()), "v4:1x1x1", full=True)


def test_another_error_of_xla_is_none_of_memory(state):
    assert too_big("INTERNAL: something else", SCANNED, {"data": 1, "fsdp": 1, "seq": 1}, state) is None


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 "), (999, "999 "), (1000, "1 k"), (3.3e10, "33 G"), (2.75e14, "275 T")]
)
def test_numbers_are_readable(number, text):
    assert readable(number) == text


@needs_libtpu
def test_a_machine_that_xla_refuses_is_told():
    with pytest.raises(ValueError, match="v4:3x5x7"):
        machine("v4:3x5x7")


@needs_libtpu
def test_a_step_is_compiled_for_four_chips(tmp_path, capsys):
    report, executable = tmp_path / "report.json", tmp_path / "step.bin"
    # as many parts as blocks: the loop over parts is not to be taken for one over blocks
    training = replace(SCANNED.training, batch=6, grad_accum_steps=BLOCKS)
    config = replace(SCANNED, mesh=MeshConfig(data=2, seq=2), training=training)
    assert compile_command(config, "v4:2x2x1", report, executable) == 0
    printed = capsys.readouterr().out
    found = json.loads(report.read_text())
    assert found["mesh"] == {"data": 2, "fsdp": 1, "seq": 2}
    # parameters, moments and the batch, but no more than that
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    assert 1 < found["memory"]["arguments"] / bytes_per_device(abstract_state(SCANNED, mesh)) < 20
    assert 0 < found["memory"]["peak"] < 1e9
    # there and back; forward, recomputed and backward; in each block, of each part
    swaps = found["collectives"]["in_blocks"]["all-to-all"]
    assert swaps["count"] == 2 * 3 * BLOCKS * BLOCKS
    by_kind = found["collectives"]["by_kind"].values()
    exposed = found["roofline"]["exposed_collectives_seconds"]
    assert exposed == pytest.approx(sum(row["exposed_seconds"] for row in by_kind))
    assert exposed > 0
    assert found["roofline"]["hours_of_100000_steps"] > 0
    assert found["xla_estimates"]["seconds"] > 0
    assert "exposed ms" in printed
    assert "all-to-all" in printed
    assert "100,000 steps" in printed
    assert executable_in(executable.read_bytes()) > 1e5


def executable_in(kept: bytes) -> int:
    """Bytes of the program in what `serialize_executable` makes of one.

    Only a client of TPUs loads it, and here are no chips: what can be told is that the pickle is whole, and has a
    program in it. It is read, not run.
    """
    operations = list(pickletools.genops(kept))
    assert operations[-1][0].name == "STOP"
    assert operations[-1][2] == len(kept) - 1
    arguments = [argument for _, argument, _ in operations]
    assert "exec" in arguments
    return max(len(argument) for argument in arguments if isinstance(argument, bytes))


@needs_libtpu
def test_fsdp_gradients_are_reduce_scattered_and_waited_for():
    width = 128
    config = replace(SCANNED, mesh=MeshConfig(fsdp=4), model=replace(SCANNED.model, d_space=width))
    compiled = compile_step(config, "v4:2x2x1")
    scattered = [one for one in compiled.in_blocks if one.kind == "reduce-scatter"]
    # query, key, value and out, and the two layers after, of each block's space operator
    assert sum(one.times * one.payload for one in scattered) == BLOCKS * 6 * width**2 * 4
    assert {(one.group, one.sent / one.payload, one.hidden) for one in scattered} == {(4, 3 / 4 / 2, 0)}
    # parameters are gathered from all four devices, forward, recomputed and backward
    gathered = [one for one in compiled.in_blocks if one.kind == "all-gather"]
    assert {one.group for one in gathered} == {4}
