"""What a build wrote, and what it left out."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from aef_jax.data.build.frames.frames import Reject
from aef_jax.data.build.rejects import REJECTS_NAME


class BuildSummary(NamedTuple):
    """What a build wrote, and what it left out."""

    sites: int
    frames: Counter[str]
    """By source."""
    dropped: Counter[str]
    """Frames by source and reason."""
    rejects: list[Reject]
    warnings: list[Reject]
    """By site."""
    too_near: int
    """Training sites left out because a validation site is near."""
    known: int
    """Sites left out because the data set has them already."""


def describe(summary: BuildSummary, output: Path) -> str:
    """Say what a build wrote, and what it left out.

    Args:
        summary: of the build.
        output: folder of the data set.

    Returns:
        Lines to print.
    """
    lines = [f"{name}: {number} frames" for name, number in sorted(summary.frames.items())]
    lines += [f"{reason}: {number} frames left out" for reason, number in sorted(summary.dropped.items())]
    if summary.too_near:
        lines.append(f"{summary.too_near} sites left out, which are too near to a validation site")
    if summary.known:
        lines.append(f"{summary.known} sites left out, which the data set has already")
    if summary.warnings:
        lines.append(f"{len(summary.warnings)} warnings; the first: {': '.join(summary.warnings[0])}")
    if summary.rejects:
        where, reason = summary.rejects[0]
        listed = output / REJECTS_NAME
        lines.append(f"{len(summary.rejects)} files or sites rejected, see {listed}; the first: {where}: {reason}")
    return "\n".join([*lines, f"wrote {summary.sites} sites to {output}"])
