"""Tests of the busiest link of a torus under each collective, by hand and by sending every message."""

from collections import defaultdict

import pytest

from aef_jax.aot.cost.chips import CHIPS, wrapped_axes
from aef_jax.aot.cost.torus import Torus, torus_sides


def row(side: int, wrapped: bool = False) -> Torus:
    return Torus([(place,) for place in range(side)], [wrapped])


@pytest.mark.parametrize(
    ("kind", "open_row", "ring"),
    [
        ("all-gather", 7 / 8, 7 / 16),
        ("reduce-scatter", 7 / 8, 7 / 16),
        ("all-reduce", 7 / 4, 7 / 8),
        ("all-to-all", 8 / 4, 8 / 8),
    ],
)
def test_a_ring_is_twice_as_fast_as_an_open_row(kind, open_row, ring):
    assert row(8).crossings(kind, range(8)) == open_row
    assert row(8, wrapped=True).crossings(kind, range(8)) == ring


def busiest_link(side: int, wrapped: bool) -> float:
    """Simulate an all-to-all of one payload per device; messages split in half if both ways are equally long."""
    load: defaultdict[tuple[int, int], float] = defaultdict(float)
    for source in range(side):
        for target in set(range(side)) - {source}:
            ways = {1: target - source, -1: source - target}
            ways = {step: hops % side for step, hops in ways.items() if wrapped or hops > 0}
            shortest = [step for step, hops in ways.items() if hops == min(ways.values())]
            for step in shortest:
                for passed in range(ways[step]):
                    load[(source + step * passed) % side, step] += 1 / side / len(shortest)
    return max(load.values())


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("side", [3, 4, 5, 8])
def test_all_to_all_cost_is_the_link_load_of_all_its_messages(side, wrapped):
    assert row(side, wrapped).crossings("all-to-all", range(side)) == pytest.approx(busiest_link(side, wrapped))


@pytest.mark.parametrize(
    ("wrapped", "group", "crossings"),
    [
        (True, [0, 1, 2, 3], 3 / 4),  # half of a ring is an open row
        (True, [0, 7], 1 / 2),  # neighbors around the end
        (True, [7, 0, 1], 2 / 3),
        (False, [0, 7], 7 / 2),  # the links between are those of six more such pairs
        (True, [0, 2, 4, 6], 2 * 3 / 8),  # every second device of a ring: a ring that shares its links with another
        (False, [0, 2, 4, 6], 2 * 3 / 4),
        (False, [1, 3], 2 / 2),
        (True, [0, 4], 4 / 4),  # eight devices send half a payload over four links each: 16 over 16 links
    ],
)
def test_groups_that_skip_devices_share_links_with_other_groups(wrapped, group, crossings):
    assert row(8, wrapped).crossings("all-gather", group) == crossings


def test_all_axes_are_busy_at_once():
    places = [(x, y, z) for x in range(2) for y in range(2) for z in range(4)]
    mesh, torus = Torus(places, []), Torus(places, [False, False, True])
    assert mesh.crossings("all-gather", range(16)) == (15 / 16) / 3
    assert torus.crossings("all-reduce", range(16)) == 2 * (15 / 16) / 4
    assert mesh.crossings("all-to-all", range(16)) == 4 / 4  # along the longest
    assert torus.crossings("all-to-all", range(16)) == 2 / 4  # as busy as the other axes
    square = [index for index, (_, _, z) in enumerate(places) if z == 1]
    assert torus.crossings("all-gather", square) == (3 / 4) / 2


def test_hops_take_the_shorter_way_of_the_farthest_pair():
    places = [(x, y) for x in range(4) for y in range(8)]
    torus = Torus(places, [False, True])
    at = places.index
    assert torus.hops([(at((0, 0)), at((0, 1)))]) == 1
    assert torus.hops([(at((0, 0)), at((0, 7)))]) == 1
    assert torus.hops([(at((0, 0)), at((0, 1))), (at((3, 6)), at((0, 1)))]) == 3 + 3
    assert Torus(places, []).hops([(at((0, 0)), at((0, 7)))]) == 7


@pytest.mark.parametrize(
    ("chip", "sides", "closed"),
    [
        ("v4", (8, 8, 8), True),
        ("v5p", (4, 4, 8), True),
        ("v4", (2, 2, 4), False),
        ("v5e", (16, 16, 1), True),
        ("v6e", (8, 16, 1), False),
    ],
)
def test_a_machine_is_a_torus_if_it_is_large_enough(chip, sides, closed):
    places = [(x, y, z) for x in range(sides[0]) for y in range(sides[1]) for z in range(sides[2])]
    assert wrapped_axes(CHIPS[chip], torus_sides(places)) == (closed,) * 3
