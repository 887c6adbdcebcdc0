"""Collectives out of optimised HLO: of a real program on eight devices, and of what XLA's compiler for TPUs writes."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from aef_jax.aot.cost.chips import CHIPS
from aef_jax.aot.hlo.collectives import collectives, on_chips
from aef_jax.aot.hlo.module import bytes_of

PROGRAM = """
import json
from dataclasses import asdict

import jax
import jax.numpy as jnp
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from aef_jax.aot.hlo.collectives import collectives

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
print(json.dumps([asdict(one) for one in collectives(hlo, line)]))
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
"""The same, of each of 15 parts of a batch."""


@pytest.fixture(scope="module")
def on_tpus():
    return collectives(TPU, SQUARE, bytes_per_cycle=2.0)


def test_a_compiled_program_on_eight_devices_sends_what_it_says():
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    swaps = [one for one in found if one["kind"] == "all-to-all"]
    assert [(one["times"], one["payload"], one["group"], one["loops"]) for one in swaps] == [(5, 192, 2, [5])] * 2
    assert all(one["sent"] == 96 for one in swaps)  # half of what a device has, to its neighbour
    (gathered,) = (one for one in found if one["kind"] == "all-gather")
    assert (gathered["times"], gathered["payload"], gathered["group"]) == (1, 4 * 32, 4)
    (summed,) = (one for one in found if one["kind"] == "all-reduce")
    assert (summed["times"], summed["payload"], summed["group"], summed["loops"]) == (1, 32, 8, [])


def test_a_pair_of_start_and_done_is_one_and_a_loop_repeats_it(on_tpus):
    (reduced,) = (one for one in on_tpus if one.kind == "all-reduce" and one.loops)
    assert (reduced.payload, reduced.times, reduced.loops, reduced.group) == (2048, 15, (15,), 2)
    assert reduced.in_loop_of(15)
    assert not reduced.in_loop_of(3)


def test_outer_loop_is_not_mistaken_for_an_inner_one_as_long(on_tpus):
    found = collectives(PARTS, SQUARE)
    blocks = [one for one in found if one.in_loop_of(15)]
    assert [(one.kind, one.times) for one in blocks] == [(one.kind, 15 * 15) for one in on_tpus if one.loops]
    assert {one.loops for one in found if one not in blocks} == {(15,)}
    fewer = collectives(PARTS.replace("constant(15)", "constant(4)", 1), SQUARE)
    assert {one.loops for one in fewer if one.in_loop_of(4)} == {(15, 4)}
    assert {one.loops for one in fewer if one.in_loop_of(15)} == {(15,)}


def test_concurrent_compute_hides_each_transfer_once(on_tpus):
    sent = {(one.kind, one.group): (one.sent, one.hidden) for one in on_tpus if one.loops}
    assert sent == {
        # 1400 bytes cross a link in 700 cycles: the first to end takes what it needs of them
        ("all-gather", 4): (2048 * 3 / 4 / 2, 768),
        ("all-reduce", 2): (2048, 1400 - 768),
        ("all-gather", 2): (1024, 0),
    }
    (reduced,) = (one for one in on_tpus if one.kind == "all-reduce" and one.loops)
    assert reduced.seconds(link_bandwidth=2) == 15 * 1024
    assert reduced.exposed_seconds(link_bandwidth=2) == 15 * (2048 - 632) / 2


def test_on_chips_the_torus_the_links_and_the_clock_count():
    chip = replace(CHIPS["v4"], link_bandwidth=3e9, clock=1e9)
    cube = [(x, y, z) for x in range(4) for y in range(4) for z in range(4)]
    swapped = [one for one in on_chips(TPU, chip, cube) if one.kind == "all-to-all"]
    assert [(one.payload, one.group, one.sent) for one in swapped] == [(512, 64, 512 * 4 / 8)]  # rings of four
    in_loops = [one for one in on_chips(TPU, chip, SQUARE) if one.loops]
    assert sum(one.hidden for one in in_loops) == 3 * 700


def test_a_group_of_one_is_no_collective_and_tuples_are_summed(on_tpus):
    (pair,) = (one for one in on_tpus if one.kind == "all-reduce" and not one.loops)
    assert (pair.payload, pair.group, pair.origin) == (128, 2, "sum")


def test_the_bytes_on_the_busiest_link(on_tpus):
    sent = {one.kind: one.sent for one in on_tpus if not one.loops}
    assert sent["all-reduce"] == 128  # to the only neighbour, and back
    assert sent["reduce-scatter"] == 2048 * 3 / 4 / 2  # of all that is summed; along both axes
    assert sent["all-to-all"] == 512 / 2  # the other half of what goes along an axis stays
    assert sent["collective-permute"] == 512 * 2  # from one corner to the opposite one
    (pair,) = (one for one in on_tpus if one.kind == "all-reduce" and not one.loops)
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
def test_bytes_of_a_shape(shape, number):
    assert bytes_of(shape) == number
