"""How long collectives keep the links of a torus busy, if nothing but bandwidth counts.

After jax-ml.github.io/scaling-book ("How to Think About TPUs", "Sharded Matrices"). Chips stand in a row along each
axis, with a link each way between neighbours; where an axis wraps, the row is closed. What counts is the busiest link,
one way. Let n devices of a row exchange a payload p each, evenly:

- Of an all-gather (p: the result) each device receives p (n-1)/n. In a closed row, a ring, half of it comes from either
  side; in an open one all of it passes the last link. A reduce-scatter (p: the operand) is the same backwards, and an
  all-reduce is both. Along more axes each takes its share of the payload, and all are busy at once.
- Of an all-to-all each device sends p/n to each other. The link in the middle of an open row carries what half of the
  devices send to the other half, (n/2)(n/2) p/n = p n/4; in a ring the shorter way is half as busy, p n/8. Along more
  axes the payload goes along one after the other, and all axes are busy at once: the busiest counts.

A group that takes every s-th chip of a row shares each link with the s-1 groups between: s times as long.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

Coordinates = Sequence[Sequence[int]]
"""Of each device of the mesh, in its order, on the torus; no two are the same."""


class Row(NamedTuple):
    """How a group of devices lies along one axis."""

    devices: int
    stride: int
    ring: bool

    @property
    def links(self) -> float:
        """Into each device, as far as they are this group's."""
        return (2 if self.ring else 1) / self.stride


@dataclass(frozen=True)
class Torus:
    coordinates: Coordinates
    wraps: Sequence[bool]
    """Of each axis. The first ones; the rest do not."""

    def crossings(self, kind: str, group: Sequence[int]) -> float:
        """How many payloads cross the busiest link, one way.

        Args:
            kind: of any collective but a collective-permute.
            group: places of its devices, two or more, in the mesh.
        """
        rows, devices = self._rows(group), len(group)
        if kind == "all-to-all":
            return max((row.devices**2 // 4) / row.devices / row.links for row in rows)
        once = (devices - 1) / devices / sum(row.links for row in rows)
        return 2 * once if kind == "all-reduce" else once

    def hops(self, pairs: Iterable[tuple[int, int]]) -> int:
        """Links on the way from source to target, along one axis after the other, for the pair farthest apart.

        Where all devices send so far, as in a shift, each link is on the way of so many: this is taken for how often
        the payload crosses the busiest.
        """
        axes = list(zip(*self._axes, strict=True))
        return max(
            sum(
                min(abs(a - b), side - abs(a - b)) if wraps else abs(a - b)
                for a, b, (side, wraps) in zip(self.coordinates[source], self.coordinates[target], axes, strict=True)
            )
            for source, target in pairs
        )

    @property
    def _axes(self) -> tuple[list[int], list[bool]]:
        sides = sides_of(self.coordinates)
        return sides, [*self.wraps, *[False] * (len(sides) - len(self.wraps))]

    def _rows(self, group: Sequence[int]) -> list[Row]:
        rows = []
        places = zip(*(self.coordinates[member] for member in group), strict=True)
        for along, side, wraps in zip(places, *self._axes, strict=True):
            taken = sorted(set(along))
            gaps = [after - before for before, after in pairwise(taken)]
            if wraps:
                # the widest gap is where a row that is no ring is open
                gaps = sorted([*gaps, taken[0] + side - taken[-1]])
            if len(taken) > 1:
                stride = max(gaps[:-1] if wraps else gaps)
                rows.append(Row(len(taken), stride, wraps and gaps[0] == gaps[-1]))
        return rows


def sides_of(coordinates: Coordinates) -> list[int]:
    """Of the torus that these devices make up."""
    return [1 + max(along) for along in zip(*coordinates, strict=True)]
