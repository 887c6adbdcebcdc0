"""The model's sizes, and how it is computed."""

from dataclasses import dataclass
from typing import Literal

from configs.validate import require, require_above, require_at_least, require_multiple

PIXELS_PER_SPACE_CELL = 16
"""The coarsest resolution is L/16: tile sides are multiples of it."""
PIXELS_PER_TIME_CELL = 8
"""Time is looked along at L/8: what splits rows of pixels splits these."""


@dataclass(frozen=True)
class ModelConfig:
    """Widths are of the four resolutions L/2, L/4, L/8 and L/16. Defaults are the paper's, or say "ours"."""

    d_precision: int = 128
    d_exchange: int = 320
    """Width at L/4, where the pyramid exchange passes through (ours: brings the whole to 480 M parameters)."""
    d_time: int = 512
    d_space: int = 1024
    num_blocks: int = 15
    heads_time: int = 8
    heads_space: int = 16
    heads_summary: int = 4
    mlp_ratio: int = 4
    embed_dim: int = 64
    """D: numbers per embedding."""
    kappa: float = 8000.0
    """Concentration of the bottleneck's von Mises-Fisher distribution; fixed, never learned."""
    decoder_width: int = 512
    text_width: int = 384
    """Numbers in a sentence embedding of the frozen language model (ours: MiniLM's 384)."""

    compute_dtype: Literal["float32", "bfloat16", "float64"] = "float32"
    """Parameters are float32 in any case; norms, softmax and the unit vector are at least float32. float64, with
    parameters cast to it, makes an oracle for parity."""
    block_loop: Literal["scan", "unroll"] = "scan"
    """Of blocks that are scanned over, one is compiled. A CPU computes unrolled ones up to a tenth faster; as several
    devices it needs them unrolled."""
    remat: Literal["none", "block", "dots"] = "block"
    """What the backward pass recomputes: nothing, whole blocks, or all of a block but its convolutions and dense
    layers."""

    def __post_init__(self):
        for field in ("d_precision", "d_exchange", "num_blocks", "mlp_ratio", "decoder_width", "text_width"):
            require_at_least("model", field, getattr(self, field), 1)
        require_at_least("model", "embed_dim", self.embed_dim, 3)  # on a circle the radial density has another form
        require_above("model", "kappa", self.kappa, 0)
        for width, heads in (("d_time", "heads_time"), ("d_precision", "heads_summary")):
            require_at_least("model", heads, getattr(self, heads), 1)
            require_multiple("model", width, getattr(self, width), of=getattr(self, heads))
        require_at_least("model", "heads_space", self.heads_space, 1)
        # 2-D rotary positions turn pairs of channels, half of the pairs for each direction
        require_multiple("model", "d_space", self.d_space, of=4 * self.heads_space)
        require(
            self.compute_dtype in ("float32", "bfloat16", "float64"),
            f"model: compute_dtype is {self.compute_dtype!r}, expected float32, bfloat16 or float64",
        )
