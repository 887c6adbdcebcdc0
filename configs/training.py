"""The optimizer, its schedule, evaluation and checkpoints."""

from dataclasses import dataclass

from configs.validate import require, require_above, require_at_least, require_multiple


@dataclass(frozen=True)
class TrainingConfig:
    """Adam, its learning rate, the batch, and how often to evaluate and save.

    The learning rate rises linearly from 0 to `learning_rate` in `warmup_steps`, then falls linearly to 0 at `steps`
    (paper).
    """

    steps: int = 100_000
    """Steps of the whole run."""
    warmup_steps: int = 1_000
    """Steps in which the learning rate rises from 0."""
    learning_rate: float = 1e-4
    """Highest learning rate of Adam."""
    clip_norm: float = 1.0
    """Largest global norm of a gradient; larger gradients are scaled down to it (ours)."""
    weight_decay: float = 0.0
    """Decoupled weight decay of all kernels, times the learning rate. Biases and norms are not decayed (ours: the
    paper has none)."""
    batch: int = 256
    """Sequences per step, over all devices."""
    grad_accum_steps: int = 1
    """Parts into which each batch is divided, to save memory. The parts are computed one after the other. Batch
    uniformity and CLIP are computed within each part, and a source's error is the mean over the parts. Each part
    reduces its gradients over the devices."""
    freeze: str = ""
    """Parameters that keep the values they begin with: patterns of their names with * and ?, separated by commas, such
    as `encoder.*,summary.*` (ours)."""
    max_consecutive_skips: int = 10
    """Consecutive steps with a loss or gradient that is not finite, after which the run stops. Such a step does not
    change the parameters."""
    seed: int = 0
    """Seed of the initial parameters, the examples and the bottleneck's noise."""
    evaluate_every: int = 2_000
    """Steps between evaluations on the validation split. Each evaluation also draws the pictures."""
    validation_sites: int = 64
    """Sites of the validation split that an evaluation uses, with one example each."""
    evaluate_labels: str = ""
    """A file of points or polygons with a property `label`; evaluations also classify the embeddings of the validation
    sites there (ours). Empty: none."""
    checkpoint_every: int = 1_000
    """Steps between checkpoints."""
    keep_last: int = 2
    """Latest checkpoints to keep, beside the one with the best validation loss."""
    keep_every: int = 0
    """Checkpoints at multiples of this many steps are kept forever; 0 keeps none. It is a multiple of
    `checkpoint_every`."""

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
