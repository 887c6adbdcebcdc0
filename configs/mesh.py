"""How a run is divided over devices."""

from dataclasses import dataclass

from configs.validate import require, require_at_least


@dataclass(frozen=True)
class MeshConfig:
    """Devices along each axis of the mesh."""

    data: int = -1
    """Devices that split the sequences; -1 takes all that the other axes leave. If these are more than the sequences,
    `seq` grows."""
    fsdp: int = 1
    """Devices that split the sequences, and also the parameters and Adam's moments."""
    seq: int = 1
    """Devices that split each sequence: its frames, or rows of pixels after the summary. It divides `data.tile_side` /
    8."""

    def __post_init__(self):
        require(self.data == -1 or self.data >= 1, f"mesh: data is {self.data}, expected -1 or at least 1")
        for field in ("fsdp", "seq"):
            require_at_least("mesh", field, getattr(self, field), 1)
