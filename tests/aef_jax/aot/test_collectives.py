"""Tests of finding collectives in optimized HLO: a real program on eight devices, and text as compiled for TPUs."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from aef_jax.aot.cost.chips import CHIPS
from aef_jax.aot.hlo.collectives import find_collectives, find_collectives_on
from aef_jax.aot.hlo.module import shape_bytes

PROGRAM = """
import json
from dataclasses import asdict

import jax
import jax.numpy as jnp
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from aef_jax.aot.hlo.collectives import find_collectives

mesh = jax.make_mesh((4, 2), ("data", "seq"), axis_types=(AxisType.Auto,) * 2)

def local(x):  # 6 x 8 on each device
    def body(x, _):
        y = jax.lax.all_to_all(jnp.sin(x), "seq", split_axis=1, concat_axis=0, tiled=True)
        return jax.lax.all_to_all(jnp.sin(y), "seq", split_axis=0, concat_axis=1, tiled=True), None
    x, _ = jax.lax.scan(body, x, length=5)
    gathered = jax.lax.all_gather(x[0], "data")
    return x, jax.lax.psum(jnp.sum(x, axis=0), ("data", "seq")), gathered

step = jax.jit(jax.shard_map(local, mesh=mesh, in_specs=P("data", "seq"),
                             out_specs=(P("data", "seq"), P(), P(None, "seq")), check_vma=False))
hlo = step.lower(jax.ShapeDtypeStruct((24, 16), jnp.float32)).compile().as_text()
line = [(device, 0, 0) for device in range(8)]
print(json.dumps([asdict(each) for each in find_collectives(hlo, line)]))
"""

TPU = """
HloModule step, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[]{:T(128)} parameter(0)
  %b = f32[]{:T(128)} parameter(1)
  ROOT %add.1 = f32[]{:T(128)} add(%a, %b)
}

%fused (p: bf16[8,128]) -> bf16[8,128] {
  ROOT %p = bf16[8,128]{1,0:T(8,128)(2,1)} parameter(0)
}

%condition (c: (s32[], bf16[8,128])) -> pred[] {
  %bound = s32[]{:T(128)} constant(15)
  %c = (s32[]{:T(128)}, bf16[8,128]{1,0:T(8,128)(2,1)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%c), index=0
  ROOT %less = pred[]{:T(512)} compare(%i, %bound), direction=LT, metadata={op_name="jit(step)/lt"}
}

%body (s: (s32[], bf16[8,128])) -> (s32[], bf16[8,128]) {
  %s = (s32[]{:T(128)}, bf16[8,128]{1,0:T(8,128)(2,1)}) parameter(0)
  %x = bf16[8,128]{1,0:T(8,128)(2,1)} get-tuple-element(%s), index=1
  %reduce-start = bf16[8,128]{1,0:S(3)} all-reduce-start(%x), replica_groups={{0,2},{1,3}}, to_apply=%add
  %gather-start = (bf16[4,128]{1,0}, bf16[8,128]{1,0}) all-gather-start(%x), replica_groups=[2,2]<=[2,2]T(1,0)
  %gather-start.2 = (bf16[2,128]{1,0}, bf16[8,128]{1,0}) all-gather-start(%x), replica_groups=[1,4]<=[4]
  %gather-done = bf16[8,128]{1,0} all-gather-done(%gather-start)
  %work = bf16[8,128]{1,0:T(8,128)(2,1)} fusion(%x), kind=kLoop, calls=%fused, backend_config={"estimated_cycles":"700"}
  %gather-done.2 = bf16[8,128]{1,0} all-gather-done(%gather-start.2)
  %reduce-done = bf16[8,128]{1,0:T(8,128)(2,1)} all-reduce-done(%reduce-start)
  %i = s32[]{:T(128)} get-tuple-element(%s), index=0
  ROOT %next = (s32[]{:T(128)}, bf16[8,128]{1,0:T(8,128)(2,1)}) tuple(%i, %reduce-done)
}

ENTRY %main (p: (s32[], bf16[8,128])) -> (s32[], bf16[8,128]) {
  %p = (s32[]{:T(128)}, bf16[8,128]{1,0:T(8,128)(2,1)}) parameter(0)
  %pair = (f32[16]{0}, u32[16]{0}) all-reduce(%p), replica_groups=mesh['a'=2,'b'=2] {'b'}, metadata={op_name="sum"}
  %alone = f32[16]{0} all-reduce(%p), replica_groups={{0},{1},{2},{3}}, to_apply=%add
  %scatter = bf16[2,128]{1,0} reduce-scatter(%p), replica_groups=mesh['axis_0'=4] {'axis_0'}, to_apply=%add
  %all = bf16[2,128]{1,0} all-to-all(%p), replica_groups={}, dimensions={0}
  %send = bf16[2,128]{1,0} collective-permute(%p), channel_id=5, source_target_pairs={{0,1},{1,2}}
  %keep = bf16[2,128]{1,0} collective-permute(%p), channel_id=6, source_target_pairs={{1,1}}
  ROOT %loop = (s32[]{:T(128)}, bf16[8,128]{1,0:T(8,128)(2,1)}) while(%p), condition=%condition, body=%body
}
"""
SQUARE = [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0)]


PARTS = (
    TPU.replace("ENTRY %main", "%part")
    + """
%others (c: (s32[], bf16[8,128])) -> pred[] {
  %parts = s32[]{:T(128)} constant(15)
  %c = (s32[]{:T(128)}, bf16[8,128]{1,0:T(8,128)(2,1)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%c), index=0
  ROOT %less = pred[]{:T(512)} compare(%i, %parts), direction=LT
}

ENTRY %step (p: (s32[], bf16[8,128])) -> (s32[], bf16[8,128]) {
  %p = (s32[]{:T(128)}, bf16[8,128]{1,0:T(8,128)(2,1)}) parameter(0)
  ROOT %parts = (s32[]{:T(128)}, bf16[8,128]{1,0:T(8,128)(2,1)}) while(%p), condition=%others, body=%part
}
"""
)
"""TPU in a loop over 15 parts of a batch."""


@pytest.fixture(scope="module")
def on_tpus():
    return find_collectives(TPU, SQUARE, bytes_per_cycle=2.0)


@pytest.mark.slow
def test_collectives_of_a_program_compiled_for_eight_devices():
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    collectives = json.loads(done.stdout.splitlines()[-1])
    swaps = [each for each in collectives if each["kind"] == "all-to-all"]
    assert [(each["times"], each["payload"], each["group"], each["loops"]) for each in swaps] == [(5, 192, 2, [5])] * 2
    assert all(each["sent"] == 96 for each in swaps)  # half of a device's data goes to its neighbor
    (gathered,) = (each for each in collectives if each["kind"] == "all-gather")
    assert (gathered["times"], gathered["payload"], gathered["group"]) == (1, 4 * 32, 4)
    (summed,) = (each for each in collectives if each["kind"] == "all-reduce")
    assert (summed["times"], summed["payload"], summed["group"], summed["loops"]) == (1, 32, 8, [])


def test_start_and_done_are_one_collective_that_a_loop_repeats(on_tpus):
    (reduced,) = (each for each in on_tpus if each.kind == "all-reduce" and each.loops)
    assert (reduced.payload, reduced.times, reduced.loops, reduced.group) == (2048, 15, (15,), 2)
    assert reduced.in_loop_of(15)
    assert not reduced.in_loop_of(3)


def test_outer_loop_is_not_mistaken_for_an_inner_one_as_long(on_tpus):
    collectives = find_collectives(PARTS, SQUARE)
    blocks = [each for each in collectives if each.in_loop_of(15)]
    assert [(each.kind, each.times) for each in blocks] == [(each.kind, 15 * 15) for each in on_tpus if each.loops]
    assert {each.loops for each in collectives if each not in blocks} == {(15,)}
    fewer = find_collectives(PARTS.replace("constant(15)", "constant(4)", 1), SQUARE)
    assert {each.loops for each in fewer if each.in_loop_of(4)} == {(15, 4)}
    assert {each.loops for each in fewer if each.in_loop_of(15)} == {(15,)}


def test_concurrent_compute_hides_each_transfer_once(on_tpus):
    sent = {(each.kind, each.group): (each.sent, each.hidden) for each in on_tpus if each.loops}
    assert sent == {
        # 1400 bytes cross a link in 700 cycles; the collective that ends first is hidden first
        ("all-gather", 4): (2048 * 3 / 4 / 2, 768),
        ("all-reduce", 2): (2048, 1400 - 768),
        ("all-gather", 2): (1024, 0),
    }
    (reduced,) = (each for each in on_tpus if each.kind == "all-reduce" and each.loops)
    assert reduced.seconds(link_bandwidth=2) == 15 * 1024
    assert reduced.exposed_seconds(link_bandwidth=2) == 15 * (2048 - 632) / 2


def test_collectives_on_a_chip_use_its_torus_links_and_clock():
    chip = replace(CHIPS["v4"], link_bandwidth=3e9, clock=1e9)
    cube = [(x, y, z) for x in range(4) for y in range(4) for z in range(4)]
    swapped = [each for each in find_collectives_on(chip, TPU, cube) if each.kind == "all-to-all"]
    assert [(each.payload, each.group, each.sent) for each in swapped] == [(512, 64, 512 * 4 / 8)]  # rings of four
    in_loops = [each for each in find_collectives_on(chip, TPU, SQUARE) if each.loops]
    assert sum(each.hidden for each in in_loops) == 3 * 700


def test_groups_of_one_are_ignored_and_tuples_are_summed(on_tpus):
    (pair,) = (each for each in on_tpus if each.kind == "all-reduce" and not each.loops)
    assert (pair.payload, pair.group, pair.origin) == (128, 2, "sum")


def test_sent_bytes_are_those_of_the_busiest_link(on_tpus):
    sent = {each.kind: each.sent for each in on_tpus if not each.loops}
    assert sent["all-reduce"] == 128  # to the only neighbor and back
    assert sent["reduce-scatter"] == 2048 * 3 / 4 / 2  # of the operand, along both axes
    assert sent["all-to-all"] == 512 / 2  # half of the payload of an axis stays on the device
    assert sent["collective-permute"] == 512 * 2  # from one corner to the opposite corner
    (pair,) = (each for each in on_tpus if each.kind == "all-reduce" and not each.loops)
    assert pair.seconds(link_bandwidth=64) == 2


@pytest.mark.parametrize(
    ("shape", "number"),
    [
        ("pred[3,5]{1,0}", 15),
        ("(bf16[2,3]{1,0:T(8,128)(2,1)S(3)}, /*index=1*/f32[]{:T(128)}, u32[4]{0:S(2)})", 12 + 4 + 16),
        ("f8e4m3fn[7]{0}", 7),
        ("s4[3]{0}", 2),
        ("token[]", 0),
    ],
)
def test_shape_bytes_sums_all_arrays_without_padding(shape, number):
    assert shape_bytes(shape) == number
