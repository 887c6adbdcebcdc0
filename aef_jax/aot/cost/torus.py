"""Compute how long collectives keep the links of a torus busy if only bandwidth counts.

The formulas follow jax-ml.github.io/scaling-book ("How to Think About TPUs", "Sharded Matrices"). Chips form a row
along each axis, with one link each way between neighbors. If an axis wraps, the row is closed to a ring. The time is
that of the busiest link, one way. Let n devices of a row each exchange a payload of p bytes, evenly:

- All-gather (p: the result): each device receives p (n-1)/n. In a ring, half of it comes from either side; in an open
  row, all of it passes the last link. A reduce-scatter (p: the operand) is the same backwards, and an all-reduce is
  both. Over several axes, each axis carries its share of the payload, and all axes are busy at once.
- All-to-all: each device sends p/n to each other device. The middle link of an open row carries what one half of the
  devices sends to the other half: (n/2)(n/2) p/n = p n/4. In a ring the shorter way is half as busy: p n/8. Over
  several axes, the payload passes one axis after the other, and all axes are busy at once, so the busiest axis counts.

A group that takes every s-th chip of a row shares each link with the s-1 groups between, which takes s times as long.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

Coordinates = Sequence[Sequence[int]]
"""Position on the torus of each device, in the order of the mesh; all positions differ."""


class Row(NamedTuple):
    """The extent of a group of devices along one axis."""

    devices: int
    stride: int
    """Distance between neighbors of the group, in links."""
    ring: bool

    @property
    def links(self) -> float:
        """Links into each device; a link that several groups share counts by its share."""
        return (2 if self.ring else 1) / self.stride


@dataclass(frozen=True)
class Torus:
    """A grid of chips whose axes may be closed to rings."""

    coordinates: Coordinates
    wraps: Sequence[bool]
    """Whether each axis is closed. Axes beyond the end of the sequence are open."""

    def crossings(self, kind: str, group: Sequence[int]) -> float:
        """Return how many payloads cross the busiest link, one way.

        Args:
            kind: any collective but a collective-permute.
            group: positions in the mesh of two or more devices.

        Returns:
            The number of payloads, a fraction in most cases.
        """
        rows, devices = self._rows(group), len(group)
        if kind == "all-to-all":
            return max((row.devices**2 // 4) / row.devices / row.links for row in rows)
        gathered = (devices - 1) / devices / sum(row.links for row in rows)
        return 2 * gathered if kind == "all-reduce" else gathered

    def hops(self, pairs: Iterable[tuple[int, int]]) -> int:
        """Return the number of links from source to target, along one axis after the other, of the pair farthest apart.

        If all devices send as far, as in a shift, each link is on the way of as many pairs. The result is therefore
        used as the number of payloads that cross the busiest link.

        Args:
            pairs: positions in the mesh of source and target.

        Returns:
            The number of links.
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
        sides = torus_sides(self.coordinates)
        return sides, [*self.wraps, *[False] * (len(sides) - len(self.wraps))]

    def _rows(self, group: Sequence[int]) -> list[Row]:
        rows = []
        positions = zip(*(self.coordinates[member] for member in group), strict=True)
        for along, side, wraps in zip(positions, *self._axes, strict=True):
            taken = sorted(set(along))
            gaps = [after - before for before, after in pairwise(taken)]
            if wraps:
                # a group that is not a ring is open at its widest gap
                gaps = sorted([*gaps, taken[0] + side - taken[-1]])
            if len(taken) > 1:
                stride = max(gaps[:-1] if wraps else gaps)
                rows.append(Row(len(taken), stride, wraps and gaps[0] == gaps[-1]))
        return rows


def torus_sides(coordinates: Coordinates) -> list[int]:
    """Return the number of chips along each axis of the torus that the devices fill.

    Args:
        coordinates: of each device.

    Returns:
        The sides.
    """
    return [1 + max(along) for along in zip(*coordinates, strict=True)]
