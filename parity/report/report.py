"""What a report tells: a comparison by sub-module, and sections of numbers that have bounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from parity.comparison.compare import Comparison


@dataclass(frozen=True)
class Check:
    """One number that must not be above its bound; NaN is."""

    name: str
    value: float
    bound: float
    reason: str
    """What the number is, and why the bound is what it is."""

    @property
    def passed(self) -> bool:
        return self.value <= self.bound

    @property
    def failure(self) -> str:
        """In one sentence, why it did not pass."""
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
    """What one part of the proof found."""

    name: str
    """Short, as it is asked for on the command line."""
    title: str
    checks: list[Check] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
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
        checks = [c for section in self.sections for c in section.checks]
        if self.comparison is None:
            return bool(checks) and all(c.passed for c in checks)
        return self.comparison.passed and all(c.passed for c in checks)

    @property
    def failures(self) -> list[str]:
        """A sentence for each, with its place."""
        groups = [] if self.comparison is None else self.comparison.failed
        failures = [f"{display_name(g.label)}, {g.dtype} {g.direction}: {g.failure}" for g in groups]
        return failures + [f"{s.name}: {c.failure}" for s in self.sections for c in s.checks if not c.passed]


def display_name(label: str) -> str:
    """A sub-module's label as a reader sees it."""
    return label or "the whole"
