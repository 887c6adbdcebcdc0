"""Which data a run trains on, and how examples are cut from them."""

from dataclasses import dataclass

from configs.model import PIXELS_PER_SPACE_CELL
from configs.validate import require_at_least, require_fraction, require_multiple


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
