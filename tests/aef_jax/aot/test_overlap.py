"""Tests of which collectives overlap with computation, in programs as XLA's compiler for TPUs writes them."""

import pytest

from aef_jax.aot.hlo.collectives import find_collectives
from aef_jax.aot.hlo.overlap import hidden_bytes

LINE = [(0,), (1,), (2,), (3,)]
MODULE = """
HloModule step, is_scheduled=true

%scatter (input.1: bf16[1000], input.2: bf16[24]) -> (bf16[528], bf16[12]) {
  %input.1 = bf16[1000]{0} parameter(0)
  %input.2 = bf16[24]{0} parameter(1)
  %zero = bf16[] constant(0)
  %table = u32[4]{0} constant({0, 1, 0, 1})
  %pad = bf16[1056]{0} pad(%input.1, %zero), padding=0_56
  %sum.5 = (bf16[1056]{0}, bf16[24]{0}) all-reduce(%pad, %input.2), replica_groups={{0,1},{2,3}}, to_apply=%add
  %id = u32[] partition-id()
  %place = u32[1]{0} dynamic-slice(%table, %id), dynamic_slice_sizes={1}
  %of.1 = bf16[1056]{0} get-tuple-element(%sum.5), index=0
  %mine.1 = bf16[528]{0} dynamic-slice(%of.1, %place), dynamic_slice_sizes={528}
  %of.2 = bf16[24]{0} get-tuple-element(%sum.5), index=1
  %mine.2 = bf16[12]{0} dynamic-slice(%of.2, %place), dynamic_slice_sizes={12}
  ROOT %both = (bf16[528]{0}, bf16[12]{0}) tuple(%mine.1, %mine.2)
}

%whole (input.3: f32[64]) -> bf16[64] {
  %input.3 = f32[64]{0} parameter(0)
  %sum.6 = f32[64]{0} all-reduce(%input.3), replica_groups={{0,1},{2,3}}, to_apply=%add
  ROOT %narrow = bf16[64]{0} convert(%sum.6)
}

%product (input.4: bf16[64,8]) -> bf16[64,64] {
  %input.4 = bf16[64,8]{1,0} parameter(0)
  %gathered = bf16[64,8]{1,0} all-gather(%input.4), replica_groups={{0,1},{2,3}}, dimensions={0}
  ROOT %square = bf16[64,64]{1,0} convolution(%gathered, %gathered), dim_labels=bf_oi->bf
}

%apart (input.5: bf16[40]) -> bf16[40] {
  %input.5 = bf16[40]{0} parameter(0)
  ROOT %swap = bf16[40]{0} all-to-all(%input.5), replica_groups={{0,1},{2,3}}, dimensions={0}
}

%body (b: s32[]) -> s32[] {
  ROOT %b = s32[] parameter(0), backend_config={"estimated_cycles":"1000"}
}

%condition (c: s32[]) -> pred[] {
  %c = s32[] parameter(0)
  %bound = s32[] constant(9)
  ROOT %less = pred[] compare(%c, %bound), direction=LT
}

ENTRY %main (x: bf16[40]) -> bf16[40] {
  %x = bf16[40]{0} parameter(0)
INSTRUCTIONS
}
"""


def sent(*instructions: str) -> list:
    """Return kind, payload, bytes sent and bytes hidden of a program's collectives, at one byte per cycle."""
    lines = "\n".join(f"  %{instruction}" for instruction in instructions)
    collectives = find_collectives(MODULE.replace("INSTRUCTIONS", lines), LINE, bytes_per_cycle=1.0)
    return [(each.kind, each.payload, each.sent, each.hidden) for each in collectives]


def work(name: str, cycles: int) -> str:
    return f'{name} = bf16[40]{{0}} copy(%x), backend_config={{"estimated_cycles":"{cycles}"}}'


START = "swap = ((bf16[40]{0}), bf16[40]{0}) async-start(%x), calls=%apart"
DONE = "end = bf16[40]{0} async-done(%swap)"


def test_fused_reduce_scatter_hides_nothing():
    fusion = 'fused = (bf16[528]{0}, bf16[12]{0}) fusion(%x, %x), kind=kCustom, calls=%scatter, metadata={op_name="g"}'
    payload = 2 * (1056 + 24)
    assert sent(work("before", 5000), fusion, work("after", 5000)) == [("reduce-scatter", payload, payload / 2, 0)]
    (scattered,) = find_collectives(MODULE.replace("INSTRUCTIONS", f"  %{fusion}"), LINE)
    assert scattered.origin == "g"


def test_an_all_reduce_sliced_outside_a_fusion_stays_one():
    whole = "whole = bf16[40]{0} all-reduce(%x), replica_groups={{0,1},{2,3}}, to_apply=%add"
    part = "part = bf16[20]{0} dynamic-slice(%whole, %x), dynamic_slice_sizes={20}"
    assert sent(whole, part) == [("all-reduce", 80, 80, 0)]


def test_fused_all_reduce_hides_nothing():
    fusion = 'fused = bf16[64]{0} fusion(%x), kind=kLoop, calls=%whole, backend_config={"estimated_cycles":"90"}'
    assert sent(fusion) == [("all-reduce", 256, 256, 0)]


def test_matmuls_in_a_fusion_hide_its_transfer_while_they_run():
    fusion = (
        'fused = bf16[64,64]{1,0} fusion(%x), kind=kOutput, calls=%product, backend_config={"estimated_cycles":"90"}'
    )
    assert sent(fusion, work("after", 5000)) == [("all-gather", 1024, 512, 90)]


def test_a_transfer_that_ends_at_once_is_exposed():
    assert sent(work("before", 5000), START, DONE, work("after", 5000)) == [("all-to-all", 80, 40, 0)]


def test_work_between_start_and_done_hides_for_its_duration():
    assert sent(START, work("a", 10), work("b", 15), DONE) == [("all-to-all", 80, 40, 25)]
    assert sent(START, work("a", 10), work("b", 900), DONE) == [("all-to-all", 80, 40, 40)]
    update = "update = ((bf16[40]{0}), bf16[40]{0}) async-update(%swap)"
    end = "end = bf16[40]{0} async-done(%update)"
    assert sent(START, work("a", 10), update, work("b", 15), end) == [("all-to-all", 80, 40, 25)]


def test_operations_without_cycle_counts_and_loops_hide_nothing():
    loop = "loop = s32[] while(%x), condition=%condition, body=%body"
    plain = "plain = bf16[40]{0} fusion(%x), kind=kLoop, calls=%body"
    assert sent(START, loop, plain, DONE) == [("all-to-all", 80, 40, 0)]


def test_a_start_without_done_is_refused():
    with pytest.raises(ValueError, match="the HLO module has no done instruction for swap"):
        sent(START, "other = bf16[40]{0} async-done(%swap.1)")


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(range(0, 3), 100.0)], [60]),
        ([(range(0, 3), 50.0), (range(1, 3), 50.0)], [50, 10]),
        ([(range(0, 3), 50.0), (range(1, 2), 15.0)], [45, 15]),  # the second ends first
        ([(range(0, 1), 5.0), (range(1, 3), 70.0)], [5, 50]),
        ([(range(1, 1), 9.0)], [0]),
    ],
)
def test_an_instruction_hides_one_transfer_at_a_time(spans, expected):
    assert hidden_bytes(spans, [10.0, 20.0, 30.0]) == expected
