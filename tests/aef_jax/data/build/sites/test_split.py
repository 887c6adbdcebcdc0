"""Planned sites are split by blocks of ground, and training sites near validation sites are dropped."""

import numpy as np
import pytest
from pyproj import Geod

from aef_jax.data.build.sites.site_plan import SitePlan, sites_of_extent
from aef_jax.data.build.sites.split import split_sites
from tests.support.refusals import error_message

ELLIPSOID = Geod(ellps="WGS84")
TILES = sites_of_extent("EPSG:32631", (500_000, 5_000_000, 512_800, 5_001_280), 128)
"""Ten tiles of 1.28 km from west to east."""


def random_sites(count: int, seed: int = 0, extent_m: float = 400_000) -> list[SitePlan]:
    """Sites of several sizes in two zones, many of them overlapping."""
    numbers = np.random.default_rng(seed)
    west, north = numbers.uniform(0, extent_m, (2, count)).round(-1)
    side, zone = numbers.integers(8, 16, count) * 16, numbers.integers(31, 33, count)
    return [
        SitePlan(f"s{i}", f"EPSG:326{zone[i]}", (10, 0, 4e5 + west[i], 0, -10, 5e6 + north[i]), int(side[i]))
        for i in range(count)
    ]


def distance_m(a: SitePlan, b: SitePlan) -> float:
    """Return the least distance that two sites' edges can have."""
    return ELLIPSOID.inv(*a.center, *b.center)[2] - (a.side + b.side) * 10 / 2**0.5


def shares(plans: list[SitePlan]) -> float:
    return sum(plan.split == "validation" for plan in plans) / len(plans)


@pytest.mark.parametrize("seed", range(3))
def test_no_training_site_is_near_a_validation_site(seed):
    plans = random_sites(300, seed, 200_000)
    remaining, dropped = split_sites(plans, 0.2, 5000, seed)
    validation = [plan for plan in remaining if plan.split == "validation"]
    training = [plan for plan in remaining if plan.split == "training"]
    assert validation
    assert min(distance_m(a, b) for a in training for b in validation) >= 5000
    assert all(min(distance_m(plan, other) for other in validation) < 5000 for plan in dropped)
    assert {plan.split for plan in dropped} == {"training"}
    assert sorted(plan.name for plan in remaining + dropped) == sorted(plan.name for plan in plans)


def test_split_does_not_depend_on_the_order():
    plans = random_sites(200)
    remaining, dropped = split_sites(plans, 0.2, 5000, 0)
    order = np.random.default_rng(1).permutation(200)
    of_shuffled = split_sites([plans[index] for index in order], 0.2, 5000, 0)
    for result, other in zip((remaining, dropped), of_shuffled, strict=True):
        assert set(result) == set(other)
    names = [plan.name for plan in plans]
    assert [plan.name for plan in remaining] == sorted((plan.name for plan in remaining), key=names.index)
    assert set(split_sites(plans, 0.2, 5000, 1)[0]) != set(remaining)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 0.9])
def test_share_is_within_one_block_of_what_was_asked_for(share):
    remaining, dropped = split_sites(random_sites(1000), share, 0, 0)
    assert not dropped
    # 200 km x 400 km and 1,000 sites: two or three sites in each block of 12.8 km
    assert shares(remaining) == pytest.approx(share, abs=0.003)


def test_same_sites_are_chosen_on_every_machine():
    plans = [SitePlan(f"s{i}", "EPSG:32631", (10, 0, 3e5 + 20_000 * i, 0, -10, 5_540_000), 128) for i in range(20)]
    selected = [plan.name for plan in split_sites(plans, 0.2, 0, 0)[0] if plan.split == "validation"]
    assert selected == ["s2", "s9", "s11", "s14"]


def test_splits_of_the_list_are_left():
    given = [plan._replace(split=split) for plan, split in zip(TILES, ("validation", *["training"] * 4), strict=False)]
    remaining, dropped = split_sites(given, 0.5, 0, 0)
    assert remaining == given
    # centers are 1,280, 2,560 and 3,840 m from the first's, and the half diagonals are 1,810 m together
    remaining, dropped = split_sites(given, 0.5, 1280, 0)
    assert [plan.name for plan in dropped] == [plan.name for plan in given[1:3]]
    remaining, _ = split_sites([*given, *random_sites(50)], 0.2, 0, 0)
    assert remaining[:5] == given
    assert shares(remaining[5:]) == pytest.approx(0.2, abs=0.02)


def test_single_block_is_cut_across_its_length():
    cube = sites_of_extent("EPSG:32631", (504_000, 5_002_000, 505_600, 5_002_160), 16)
    for share, count in ((0.01, 1), (0.1, 1), (0.3, 3), (0.5, 5), (0.94, 9), (0.99, 9)):
        remaining, dropped = split_sites(cube, share, 0, 0)
        assert not dropped
        assert [plan.split for plan in remaining] == ["training"] * (10 - count) + ["validation"] * count
    upright = sites_of_extent("EPSG:32731", (504_000, 5_002_000, 504_160, 5_003_600), 16)
    remaining, _ = split_sites(upright, 0.2, 0, 0)
    assert [plan.split for plan in remaining] == ["validation"] * 2 + ["training"] * 8  # listed from the north


def test_two_sites_give_one_for_validation():
    pair = random_sites(2)
    for share in (0.01, 0.99):
        assert shares(split_sites(pair, share, 0, 0)[0]) == 0.5
    assert shares(split_sites(pair, 0, 5000, 0)[0]) == 0
    assert shares(split_sites(pair[:1], 0.9, 5000, 0)[0]) == 0
    assert split_sites([], 0.5, 1280, 0) == ([], [])


def test_large_blocks_are_cut_to_meet_the_share():
    # two cubes 100 km apart, of 40 sites and of 60
    west, east = (
        sites_of_extent("EPSG:32631", (x, 5_002_000, x + 160 * count, 5_002_320), 16)
        for x, count in ((504_000, 20), (604_000, 30))
    )
    for share, count in ((0.1, 10), (0.15, 15), (0.97, 97)):
        remaining, _ = split_sites([*west, *east], share, 0, 0)
        assert sum(plan.split == "validation" for plan in remaining) == count


def test_distance_is_that_of_the_ellipsoid():
    """On a sphere, a degree of longitude at 60 degrees is 0.5 of one at the equator; on the ellipsoid, 0.5013."""
    sites = sites_of_extent("EPSG:32661", (2_000_000, 2_000_000, 2_400_000, 2_000_160), 16)
    given = [plan._replace(split="training") for plan in sites]
    given[0] = given[0]._replace(split="validation")
    for distance in (100_000, 100_200, 200_500):
        remaining, _ = split_sites(given, 0, distance, 0)
        assert remaining[1:] == [plan for plan in given[1:] if distance_m(given[0], plan) >= distance]


def test_larger_site_behind_the_nearest_counts():
    small, large = (
        SitePlan(name, "EPSG:32631", (10, 0, 500_000, 0, -10, 5e6), side, "validation")
        for name, side in (("small", 16), ("large", 512))
    )
    training = SitePlan("t", "EPSG:32631", (10, 0, 498_500, 0, -10, 5e6), 16, "training")
    assert distance_m(training, small) > 1200 > distance_m(training, large)
    assert split_sites([small, training], 0, 1200, 0)[1] == []
    assert split_sites([small, large, training], 0, 1200, 0)[1] == [training]


def test_split_out_of_range_is_refused():
    for share in (-0.1, 1.0, float("nan")):
        assert f"the share of validation is {share}, expected" in error_message(split_sites, TILES, share, 0, 0)
    for distance in (-1.0, float("nan"), float("inf")):
        assert f"the distance of splits is {distance} m" in error_message(split_sites, TILES, 0.1, distance, 0)
