"""Read points and polygons in WKB (well-known binary, ISO 13249-3), which GeoParquet has.

GEOS, which other readers use, overflows its stack on geometries that are nested some thousand levels deep, and the
process ends (3.14). This reader does not nest.
"""

import struct
from typing import Any

import numpy as np
from jaxtyping import Float64

_TYPES = {1: "Point", 3: "Polygon", 6: "MultiPolygon"}
_HAS_Z, _HAS_M, _HAS_SRID = 0x80000000, 0x40000000, 0x20000000
"""Flags of EWKB, which some libraries write for heights in place of the thousands of ISO."""


def parse_wkb(data: bytes) -> dict[str, Any]:
    """Parse a geometry.

    Args:
        data: WKB or EWKB.

    Returns:
        As in GeoJSON, of type Point, Polygon or MultiPolygon with x and y. Rings are arrays of Float64 "N 2". The type
        is empty if it is another one.

    Raises:
        ValueError: it is no WKB.
    """
    try:
        return _Reader(data).geometry()
    except (struct.error, ValueError):
        raise ValueError("its geometry is damaged, expected WKB") from None


class _Reader:
    def __init__(self, data: bytes):
        self.data, self.offset, self.order, self.dimensions = data, 0, "<", 2

    def geometry(self) -> dict[str, Any]:
        match self._header():
            case "Point":
                return {"type": "Point", "coordinates": struct.unpack_from(f"{self.order}dd", self.data, self.offset)}
            case "Polygon":
                return {"type": "Polygon", "coordinates": self._rings()}
            case "MultiPolygon":
                polygons = []
                for _ in range(self._count()):
                    if self._header() != "Polygon":
                        raise ValueError("it has another part than a polygon")
                    polygons.append(self._rings())
                return {"type": "MultiPolygon", "coordinates": polygons}
        return {"type": ""}

    def _header(self) -> str:
        (order,) = struct.unpack_from("B", self.data, self.offset)
        self.order = "<" if order == 1 else ">"
        self.offset += 1
        code = self._count()
        self.offset += 4 if code & _HAS_SRID else 0
        axes, kind = divmod(code & 0xFFFF, 1000)  # thousands: 1 is Z, 2 is M, 3 is both
        has_z, has_m = axes in (1, 3) or code & _HAS_Z, axes in (2, 3) or code & _HAS_M
        self.dimensions = 2 + bool(has_z) + bool(has_m)
        return _TYPES.get(kind, "")

    def _count(self) -> int:
        (count,) = struct.unpack_from(f"{self.order}I", self.data, self.offset)
        self.offset += 4
        return count

    def _rings(self) -> list[Float64[np.ndarray, "_ 2"]]:
        return [self._ring() for _ in range(self._count())]

    def _ring(self) -> Float64[np.ndarray, "N 2"]:
        count = self._count() * self.dimensions
        # an error, before memory is taken, if the data are shorter
        values = np.frombuffer(self.data, f"{self.order}f8", count, self.offset) if count else np.zeros(0)
        self.offset += 8 * count
        return values.reshape(-1, self.dimensions)[:, :2].astype(np.float64)
