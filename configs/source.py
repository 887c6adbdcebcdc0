"""Sources: a sensor or map product, its bands, and how the objective uses it."""

import keyword
import math
from dataclasses import dataclass
from typing import Literal

from configs.serialization.printable import printable_value, require_printable
from configs.validate import require, require_at_least, require_fraction

Scaling = Literal["none", "log1p", "radians", "palsar_decibel"]
"""How a band's stored value is scaled before its z-score (paper, S1; see aef_jax.data.store.normalization)."""

PIXEL_M = 10
"""Side of a pixel, in meters."""
PIXEL_TOLERANCE = 0.01
"""Accepted relative difference of a grid's pixels from that (ours)."""


@dataclass(frozen=True)
class Band:
    """One band of a source, as a record stores it."""

    name: str
    """Name of the band in its product."""
    unit: str
    """Unit of the stored values."""
    scaling: Scaling = "none"
    """How stored values are scaled before the z-score."""
    valid_range: tuple[float, float] | None = None
    """Range of valid observations, in the band's unit as stored; None accepts all. A pixel outside is not valid:
    neither the statistics nor the loss count it."""

    def __post_init__(self):
        require_printable("band", self.name)
        require_printable(f"band {self.name}: its unit", self.unit)
        low, high = self.valid_range or (0, 1)
        require(low < high, f"band {self.name}: valid_range is {self.valid_range}, expected a low end below a high end")


@dataclass(frozen=True)
class Metadata:
    """One property of an acquisition that its decoder is given."""

    name: str
    """Name of the property in the record."""
    kind: Literal["angle", "binary"]
    """angle is in degrees and encoded as sine and cosine; binary is encoded as -1 or +1 (ours). An unknown value, NaN
    in the record, is encoded as 0 in all of its numbers, which no known value is."""

    def __post_init__(self):
        require_printable("metadata field", self.name)

    @property
    def width(self) -> int:
        """Numbers that encode the property."""
        return 2 if self.kind == "angle" else 1


@dataclass(frozen=True)
class Source:
    """One row of the table of sources (paper, S1 and S2).

    Fields that only an input source uses (`frame_budget`, `source_drop`, `frame_drop`) are 0 for the others.
    """

    name: str
    """Name of the source, an identifier."""
    kind: Literal["continuous", "classes", "text"]
    """continuous, classes or text."""
    bands: tuple[Band, ...]
    """Bands of a frame; none for text."""
    is_input: bool = False
    """Whether the encoder sees it. Every source is a target."""
    classes: int = 0
    """Number of classes of a `classes` source. Its band holds the class index."""
    weight: float = 1.0
    """Weight in the reconstruction loss, before the weights are normalized over the sources in use."""
    shift_invariant_m: float = 0.0
    """Planar shifts up to this many meters do not count as errors (misregistration); 0 for none."""
    regrid_m: float = 0.0
    """Meters of the grid to which reconstruction and target are averaged before the error; 0 for none."""
    timed: bool = True
    """Whether its decoder is given the acquisition time. A static map has none."""
    metadata: tuple[Metadata, ...] = ()
    """Properties of an acquisition that its decoder is given."""
    frame_budget: int = 0
    """Frames that training reserves for it in a sequence."""
    source_drop: float = 0.0
    """Probability that the student sees none of its frames."""
    frame_drop: float = 0.0
    """Share of its frames that are dropped at random for the student."""
    line_gaps: bool = False
    """Whether training blanks a line across all its input frames, so that the model learns to fill gaps."""

    def __post_init__(self):
        # The name is part of parameter paths in both frameworks: a dot would split a path, and a name of a dict
        # method would hide it.
        require(
            self.name.isidentifier() and not keyword.iskeyword(self.name) and not hasattr(dict, self.name),
            f"source: name is {printable_value(self.name)}, expected an identifier that is neither a keyword nor a"
            " method of dict",
        )
        require_printable("source", self.name)
        where = f"source {self.name}"
        require_at_least(where, "weight", self.weight, 0)
        require_at_least(where, "shift_invariant_m", self.shift_invariant_m, 0)
        require_at_least(where, "regrid_m", self.regrid_m, 0)
        require_at_least(where, "frame_budget", self.frame_budget, 1 if self.is_input else 0)
        require_fraction(where, "source_drop", self.source_drop)
        require_fraction(where, "frame_drop", self.frame_drop)
        require(
            not self.is_input or self.student_budget > 0,
            f"{where}: frame_drop is {self.frame_drop}, expected less than 1: what takes a source away is source_drop",
        )
        for field in ("shift_invariant_m", "regrid_m"):
            require(
                getattr(self, field) % PIXEL_M == 0,
                f"{where}: {field} is {getattr(self, field)}, expected a multiple of {PIXEL_M}, the meters of a pixel",
            )
        require(
            (self.kind == "text") != bool(self.bands),
            f"{where}: a source of kind {self.kind!r} has {len(self.bands)} bands",
        )
        require(
            not (self.shift_invariant_m and self.regrid_m),
            f"{where}: shift_invariant_m is {self.shift_invariant_m} and regrid_m is {self.regrid_m}, expected one of"
            " them to be 0: a shift is one of pixels, not of coarse cells",
        )
        require(
            self.kind == "continuous" or not self.is_input,
            f"{where}: a source of kind {self.kind!r} cannot be an input, expected a continuous one",
        )
        require(
            (self.classes > 1) == (self.kind == "classes"),
            f"{where}: a source of kind {self.kind!r} cannot have classes={self.classes}",
        )

    @property
    def record_form(self) -> tuple:
        """What its records mean: data of one row may be read by another row that agrees in this."""
        return self.kind, self.bands, self.classes, self.timed, self.metadata

    @property
    def student_budget(self) -> int:
        """Frames of the source in the student's pass: the frame budget less the random drop."""
        return math.ceil((1 - self.frame_drop) * self.frame_budget)

    @property
    def channels(self) -> int:
        """Bands of a frame."""
        return len(self.bands)

    @property
    def decoder_outputs(self) -> int:
        """Numbers per pixel that its decoder returns: one per band, or one logit per class."""
        return self.classes or self.channels

    @property
    def metadata_width(self) -> int:
        """Numbers per acquisition that its decoder is given besides the time."""
        return sum(item.width for item in self.metadata)
