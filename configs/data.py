"""Which data a run trains on, and how examples are cut out of it."""

from dataclasses import dataclass

from configs.model import PIXELS_PER_SPACE_CELL
from configs.validate import require_at_least, require_fraction, require_multiple


@dataclass(frozen=True)
class DataConfig:
    """Which data a run trains on, and how examples are cut out of it."""

    path: str = ""
    """Folder of a data set (`aef data --help`); if empty, the sample from the package nrt."""
    tile_side: int = 128
    """L: side of the square tile, in pixels of 10 m."""
    support_days: int = 365
    """Days of the support period."""
    min_period_days: int = 5
    """Days of the shortest valid period; the paper asks for more than 4."""
    min_target_fraction: float = 0.1
    """Least share of valid pixels of a target frame of an input source (ours)."""
    teacher_frame_dropout: bool = True
    """Whether the teacher's frames are dropped at the student's rates, too (paper, v2.1)."""
    time_jitter_days: int = 0
    """Most days by which a whole training example is shifted in time (ours). With few sites, and so few dates, a model
    would memorize what each date looked like. The paper has millions of sites and needs no shift."""
    workers: int = 0
    """Processes that read examples, for each training process; 0 reads in the training process."""
    threads: int = 2
    """Threads that read examples if `workers` is 0."""

    def __post_init__(self):
        require_multiple("data", "tile_side", self.tile_side, of=PIXELS_PER_SPACE_CELL)
        require_at_least("data", "min_period_days", self.min_period_days, 5)
        # the valid period of a forecast lies in one half of the support period
        require_at_least("data", "support_days", self.support_days, 2 * self.min_period_days)
        require_fraction("data", "min_target_fraction", self.min_target_fraction)
        require_at_least("data", "time_jitter_days", self.time_jitter_days, 0)
        require_at_least("data", "workers", self.workers, 0)
        require_at_least("data", "threads", self.threads, 1)
