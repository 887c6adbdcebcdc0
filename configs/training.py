"""The objective, the optimiser's course, the data and the mesh."""

from dataclasses import dataclass

from configs.model import PIXELS_PER_SPACE_CELL
from configs.validate import require, require_above, require_at_least, require_fraction, require_multiple


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


@dataclass(frozen=True)
class DataConfig:
    """What a run trains on, and how examples are cut out of it. Distances are pixels of 10 m."""

    path: str = ""
    """Folder of a data set (`aef data --help`); empty for the sample that the package nrt ships."""
    tile_side: int = 128
    """L: side of the square ground tile."""
    support_days: int = 365
    """Length of the support period."""
    min_period_days: int = 5
    """Shortest valid period that is drawn; the paper asks for more than 4 days."""
    min_target_fraction: float = 0.1
    """A frame of an input source with a smaller share of valid pixels is not drawn as a target (ours)."""
    teacher_frame_dropout: bool = True
    """Whether the teacher's frames are dropped at the student's rates, too (paper, v2.1)."""
    time_jitter_days: int = 0
    """Training examples are moved in time, as a whole, by up to so much: with the few dates of few sites a model would
    learn by heart what each date looked like. (Ours; the paper, with millions of sites, has no need of it.)"""
    workers: int = 0
    """Processes that read examples for each one that trains; 0: that one reads them itself."""
    threads: int = 2
    """In which it reads them itself."""

    def __post_init__(self):
        require_multiple("data", "tile_side", self.tile_side, of=PIXELS_PER_SPACE_CELL)
        require_at_least("data", "min_period_days", self.min_period_days, 5)
        # a forecast's period lies in one half of the support period
        require_at_least("data", "support_days", self.support_days, 2 * self.min_period_days)
        require_fraction("data", "min_target_fraction", self.min_target_fraction)
        require_at_least("data", "time_jitter_days", self.time_jitter_days, 0)
        require_at_least("data", "workers", self.workers, 0)
        require_at_least("data", "threads", self.threads, 1)


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
