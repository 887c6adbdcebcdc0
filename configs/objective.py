"""The weights of the objective's terms."""

from dataclasses import dataclass

from configs.validate import require, require_above, require_at_least


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights of the loss's terms (paper, S4). A term whose weight is 0 is not computed at all: an ablation."""

    reconstruction: float = 1.0
    uniformity: float = 0.05
    """Batch uniformity: embeddings of different places point in different directions."""
    consistency: float = 0.02
    """Teacher and student agree; without it there is no student."""
    text: float = 0.001
    """CLIP: embeddings and the texts that describe them find each other in the global batch."""
    temperature: float = 0.07
    """Divides the cosines of CLIP; fixed (ours: CLIP's own first value)."""
    noise: bool = True
    """Whether decoders see a sample of the bottleneck's distribution; without it, its mean direction."""

    def __post_init__(self):
        weights = {field: getattr(self, field) for field in ("reconstruction", "uniformity", "consistency", "text")}
        for field, weight in weights.items():
            require_at_least("objective", field, weight, 0)
        require(any(weights.values()), f"objective: the weights are {weights}, expected one of them above 0")
        require_above("objective", "temperature", self.temperature, 0)
