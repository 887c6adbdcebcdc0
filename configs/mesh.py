"""How a run is divided over devices."""

from dataclasses import dataclass

from configs.validate import require, require_at_least


@dataclass(frozen=True)
class MeshConfig:
    """Devices along each axis of the mesh."""

    data: int = -1
    """Splits sequences. -1: all devices that the other axes leave; where these are more than sequences, `seq` grows."""
    fsdp: int = 1
    """Splits sequences, and parameters and Adam's moments too."""
    seq: int = 1
    """Splits each sequence: its frames, and rows of pixels where there are none. It divides `data.tile_side` / 8."""

    def __post_init__(self):
        require(self.data == -1 or self.data >= 1, f"mesh: data is {self.data}, expected -1 or at least 1")
        for field in ("fsdp", "seq"):
            require_at_least("mesh", field, getattr(self, field), 1)
