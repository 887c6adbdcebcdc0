"""Sizes of the model, and how it is computed."""

from dataclasses import dataclass
from typing import Literal

from configs.validate import require, require_above, require_at_least, require_multiple

PIXELS_PER_SPACE_CELL = 16
"""Pixels along a cell of the coarsest resolution, L/16. Tile sides are multiples of it."""
PIXELS_PER_TIME_CELL = 8
"""Pixels along a cell of the time operator, L/8. A mesh that splits rows of pixels splits these cells."""


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the model, and how it is computed.

    Defaults are the paper's unless a field says "ours".
    """

    architecture: Literal[1, 2] = 2
    """Version of the model (ours). 1 is that of runs written before there were versions: a missing band is shown as its
    mean. From 2 on, the source encoders are told which bands a frame lacks."""
    d_precision: int = 128
    """Channels at L/2: source encoders, precision operator and summary."""
    d_exchange: int = 320
    """Channels at L/4, inside the pyramid exchange (ours). They bring the model to 480 M parameters."""
    d_time: int = 512
    """Channels at L/8: time operator."""
    d_space: int = 1024
    """Channels at L/16: space operator."""
    num_blocks: int = 15
    """Number of STP blocks."""
    heads_time: int = 8
    """Attention heads of the time operator."""
    heads_space: int = 16
    """Attention heads of the space operator."""
    heads_summary: int = 4
    """Attention heads of the summary over time."""
    mlp_ratio: int = 4
    """Hidden channels of an MLP, as a multiple of its inputs."""
    embed_dim: int = 64
    """D: numbers per embedding."""
    kappa: float = 8000.0
    """Concentration of the bottleneck's von Mises-Fisher distribution. It is fixed, not learned."""
    decoder_width: int = 512
    """Hidden channels of the decoders and of the text head."""
    text_width: int = 384
    """Numbers per sentence embedding of the frozen language model (ours: MiniLM's 384)."""

    compute_dtype: Literal["float32", "bfloat16", "float64"] = "float32"
    """Dtype of activations: float32, bfloat16 or float64. Parameters are float32; norms, softmax and the unit vector
    are computed in float32 or wider. Parity tests use float64, with parameters cast to it, as the reference."""
    block_loop: Literal["scan", "unroll"] = "scan"
    """scan compiles one block and loops over it, unroll compiles every block. A CPU runs unrolled blocks up to 10 %
    faster, and needs them unrolled if it acts as several devices."""
    remat: Literal["none", "block", "dots"] = "block"
    """What the backward pass recomputes: none, block (whole blocks), or dots (all but convolutions and dense layers of
    a block)."""

    def __post_init__(self):
        require(self.architecture in (1, 2), f"model: architecture is {self.architecture!r}, expected 1 or 2")
        for field in ("d_precision", "d_exchange", "num_blocks", "mlp_ratio", "decoder_width", "text_width"):
            require_at_least("model", field, getattr(self, field), 1)
        require_at_least("model", "embed_dim", self.embed_dim, 3)  # with 2 the radial density has another form
        require_above("model", "kappa", self.kappa, 0)
        for width, heads in (("d_time", "heads_time"), ("d_precision", "heads_summary")):
            require_at_least("model", heads, getattr(self, heads), 1)
            require_multiple("model", width, getattr(self, width), of=getattr(self, heads))
        require_at_least("model", "heads_space", self.heads_space, 1)
        # 2-D rotary positions rotate pairs of channels: half of the pairs by row, half by column
        require_multiple("model", "d_space", self.d_space, of=4 * self.heads_space)
        require(
            self.compute_dtype in ("float32", "bfloat16", "float64"),
            f"model: compute_dtype is {self.compute_dtype!r}, expected float32, bfloat16 or float64",
        )
