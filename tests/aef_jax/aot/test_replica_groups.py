"""Tests of parsing the devices of a collective, in every notation that XLA writes."""

import pytest

from aef_jax.aot.hlo.module import Instruction
from aef_jax.aot.hlo.replica_groups import first_group, source_target_pairs


def written(text: str, opcode: str = "all-gather") -> Instruction:
    return Instruction("gather.1", "f32[8]{0}", opcode, f"%x), channel_id=1, {text}, use_global_device_ids=true")


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("replica_groups={{1,5},{0,4},{2,6},{3,7}}", [1, 5]),
        ("replica_groups={}", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("dimensions={0}", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("replica_groups=[2,4]<=[8]", [0, 1, 2, 3]),
        ("replica_groups=[2,4]<=[4,2]T(1,0)", [0, 2, 4, 6]),
        ("replica_groups=mesh['a'=4,'b'=2] {'a'}", [0, 2, 4, 6]),
        ("replica_groups=mesh['a'=4,'b'=2] {'a','b'}", [0, 1, 2, 3, 4, 5, 6, 7]),
        # as written by XLA's compiler for TPUs
        ("replica_groups=mesh['axis_0'=4,'axis_1'=1,'axis_2'=2], device_ids=([2,4]T(1,0)) {'axis_0'}", [0, 1, 2, 3]),
        ("replica_groups=mesh['axis_0'=4,'axis_1'=1,'axis_2'=2], device_ids=([2,4]T(1,0)) {'axis_2'}", [0, 4]),
        (
            "replica_groups=mesh['axis_0'=2,'axis_1'=1,'axis_2'=4], device_ids=([2,2,2]T(1,0,2)) {'axis_2'}",
            [0, 1, 4, 5],
        ),
        ("replica_groups=mesh['a'=4,'b'=2], device_ids=([4,2]<=[2,4]T(1,0)) {'a'}", [0, 1, 2, 3]),
        ("replica_groups=mesh['a'=2,'b'=4], device_ids=(7,6,5,4,3,2,1,0) {'a'}", [7, 3]),
        # parts of an axis of 8 = 2 x 2 x 2: the last factor, the first, and the middle one
        ("replica_groups=mesh['a'=8] {'a':(4)2}", [0, 1]),
        ("replica_groups=mesh['a'=8] {'a':(1)2}", [0, 4]),
        ("replica_groups=mesh['a'=8] {'a':(2)2}", [0, 2]),
    ],
)
def test_first_group_reads_every_notation(text, group):
    assert first_group(written(text), 8) == group


@pytest.mark.parametrize(
    "text",
    [
        "replica_groups=[4,2]{0}",
        "replica_groups=mesh['a'=4,'b'=2], device_ids=(some) {'a'}",
        "replica_groups=mesh['a'=4,'b'=2], device_ids=([4]) {'a'}",
        "replica_groups=mesh['a'=8] {'a':(1)2,'a':(4)2}",
    ],
)
def test_unreadable_replica_groups_are_refused(text):
    with pytest.raises(ValueError, match=r"gather\.1: unknown notation of its device groups: replica_groups="):
        first_group(written(text), 8)


def test_transfers_of_a_device_to_itself_are_left_out():
    permute = "collective-permute"
    assert source_target_pairs(written("source_target_pairs={{0,1},{2,2},{3,0}}", permute)) == [(0, 1), (3, 0)]
    assert source_target_pairs(written("source_target_pairs={}", permute)) == []
