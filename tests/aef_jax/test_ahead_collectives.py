"""Collectives out of optimised HLO: of a real program on eight devices, and of what XLA's compiler for TPUs writes."""

import json
import os
import subprocess
import sys

import pytest

from aef_jax.ahead.collectives import collectives
from aef_jax.ahead.hlo import bytes_of

PROGRAM = """
import json
from dataclasses import asdict

import jax
import jax.numpy as jnp
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from aef_jax.ahead.collectives import collectives

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
  %work = bf16[8,128]{1,0:T(8,128)(2,1)} fusion(%x), kind=kLoop, calls=%fused
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
  ROOT %loop = (s32[]{:T(128)}, bf16[8,128]{1,0:T(8,128)(2,1)}) while(%p), condition=%condition, body=%body
}
"""
SQUARE = [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0)]


@pytest.fixture(scope="module")
def on_tpus():
    return collectives(TPU, SQUARE)


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


def test_what_the_program_computes_meanwhile_overlaps(on_tpus):
    overlapped = {(one.kind, one.group): one.overlapped for one in on_tpus if one.loops}
    assert overlapped == {("all-reduce", 2): True, ("all-gather", 2): False, ("all-gather", 4): True}


def test_a_group_of_one_is_no_collective_and_tuples_are_summed(on_tpus):
    (pair,) = (one for one in on_tpus if one.kind == "all-reduce" and not one.loops)
    assert (pair.payload, pair.group, pair.origin) == (128, 2, "sum")


def test_the_bytes_on_the_wires_and_the_links_that_carry_them(on_tpus):
    sent = {one.kind: (one.sent, one.links) for one in on_tpus if not one.loops}
    assert sent["all-reduce"] == (128, 1)  # to the only neighbour, and back
    assert sent["reduce-scatter"] == (2048 * 3 / 4, 2)  # of all that is summed; along both axes
    assert sent["all-to-all"] == (512, 2)
    assert sent["collective-permute"] == (512, 1)
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
