"""Weights of the objective's terms."""

from dataclasses import dataclass

from configs.validate import require, require_above, require_at_least


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights of the loss's terms (paper, S4).

    A term with weight 0 is not computed at all, for ablations.
    """

    reconstruction: float = 1.0
    """Weight of the reconstruction of the sources."""
    uniformity: float = 0.05
    """Weight of batch uniformity: embeddings of different places point in different directions."""
    consistency: float = 0.02
    """Weight of the agreement of teacher and student. With 0 there is no student pass."""
    text: float = 0.001
    """Weight of CLIP: embeddings and the texts that describe them identify each other in the global batch."""
    temperature: float = 0.07
    """Divisor of CLIP's cosines; fixed (ours: the value that CLIP starts from)."""
    noise: bool = True
    """Whether decoders see a sample of the bottleneck's distribution. With false they see its mean direction."""

    def __post_init__(self):
        weights = {field: getattr(self, field) for field in ("reconstruction", "uniformity", "consistency", "text")}
        for field, weight in weights.items():
            require_at_least("objective", field, weight, 0)
        require(any(weights.values()), f"objective: the weights are {weights}, expected one of them above 0")
        require_above("objective", "temperature", self.temperature, 0)
