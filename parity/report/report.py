"""Hold what a report contains: a comparison by sub-module, and sections of numbers with bounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from parity.comparison.compare import Comparison


@dataclass(frozen=True)
class Check:
    """A number with an upper bound. NaN does not pass."""

    name: str
    value: float
    bound: float
    reason: str
    """What the number is, and why the bound has its value."""

    @property
    def passed(self) -> bool:
        """Whether the number is within its bound."""
        return self.value <= self.bound

    @property
    def failure(self) -> str:
        """One sentence on why it did not pass."""
        return f"{self.name} is {self.value:.3g}, more than {self.bound:.3g}: {self.reason}"


@dataclass(frozen=True)
class Chart:
    """Lines over the steps 1, 2, 3 and so on, on a logarithmic scale."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[float]]


@dataclass
class Section:
    """The results of one part of the comparison."""

    name: str
    """The short name used on the command line."""
    title: str
    checks: list[Check] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether all its numbers are within their bounds."""
        return all(c.passed for c in self.checks)


@dataclass
class Report:
    """Everything that is written, and whether all of it passed."""

    title: str
    notes: list[str] = field(default_factory=list)
    """Sentences on what was compared."""
    comparison: Comparison | None = None
    sections: list[Section] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether everything passed; false if there is nothing to judge."""
        checks = [c for section in self.sections for c in section.checks]
        if self.comparison is None:
            return bool(checks) and all(c.passed for c in checks)
        return self.comparison.passed and all(c.passed for c in checks)

    @property
    def failures(self) -> list[str]:
        """One sentence per failure, with its place."""
        groups = [] if self.comparison is None else self.comparison.failed
        failures = [f"{display_name(g.label)}, {g.dtype} {g.direction}: {g.failure}" for g in groups]
        return failures + [f"{s.name}: {c.failure}" for s in self.sections for c in s.checks if not c.passed]


def display_name(label: str) -> str:
    """Return a sub-module's label for a reader.

    Args:
        label: The label.

    Returns:
        The label; for the whole model, words.
    """
    return label or "the whole"
