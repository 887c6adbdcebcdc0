"""The optimizer, its schedule, evaluation and checkpoints."""

from dataclasses import dataclass

from configs.validate import require, require_above, require_at_least, require_multiple


@dataclass(frozen=True)
class TrainingConfig:
    """Adam under the paper's schedule: from 0 to `learning_rate` in `warmup_steps`, then to 0 at `steps`, linearly."""

    steps: int = 100_000
    warmup_steps: int = 1_000
    learning_rate: float = 1e-4
    clip_norm: float = 1.0
    """Gradients of a larger global norm are scaled down to it (ours)."""
    weight_decay: float = 0.0
    """Share of every kernel that a step takes off, times the learning rate; biases and norms keep theirs (ours: the
    paper names none)."""
    batch: int = 256
    """Sequences per step, over all devices."""
    grad_accum_steps: int = 1
    """Parts in which the batch is computed, one after the other, where it does not fit into memory at once. Batch
    uniformity and CLIP then are of each part, and a source's error is the mean of the parts'. Each part sums its
    gradients over the devices."""
    max_consecutive_skips: int = 10
    """A step whose loss or gradient is not finite changes nothing; after so many in a row the run stops."""
    seed: int = 0
    evaluate_every: int = 2_000
    """Steps between held-out evaluations; each also draws the pictures."""
    validation_sites: int = 64
    """Held-out sites of a data set that an evaluation uses, one example of each."""
    checkpoint_every: int = 1_000
    keep_last: int = 2
    """Checkpoints that are kept beside the best by held-out loss."""
    keep_every: int = 0
    """Checkpoints at multiples of so many steps, itself one of `checkpoint_every`, are kept for good; 0: none."""

    def __post_init__(self):
        counts = ("steps", "batch", "grad_accum_steps", "max_consecutive_skips", "evaluate_every", "validation_sites")
        for field in (*counts, "checkpoint_every", "keep_last"):
            require_at_least("training", field, getattr(self, field), 1)
        require_multiple("training", "batch", self.batch, of=self.grad_accum_steps)
        if self.keep_every:
            require_multiple("training", "keep_every", self.keep_every, of=self.checkpoint_every)
        for field in ("warmup_steps", "seed", "keep_every"):
            require_at_least("training", field, getattr(self, field), 0)
        require(
            self.warmup_steps < self.steps,
            f"training: warmup_steps is {self.warmup_steps}, expected fewer than steps ({self.steps})",
        )
        require(self.seed < 2**32, f"training: seed is {self.seed}, expected less than 2**32")  # JAX drops higher bits
        for field in ("learning_rate", "clip_norm"):
            require_above("training", field, getattr(self, field), 0)
        require_at_least("training", "weight_decay", self.weight_decay, 0)
