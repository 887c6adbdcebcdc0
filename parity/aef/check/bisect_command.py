"""What `aef-parity bisect` does."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from parity.aef.check.check_input import CheckInput
from parity.comparison.bisection import bisect
from parity.comparison.precision import matmul_precision
from parity.report.describe_culprit import describe_culprit
from parity.report.picture import write_picture

MAX_CULPRITS = 5
"""Culprits that are told; what follows is mostly the same fault again, in the next block."""


def describe_culprits(check_input: CheckInput, dtype: str, folder: Path) -> Iterator[str]:
    """A paragraph for each culprit as it is found, and a picture of it in `folder`. None where both agree."""
    with matmul_precision():
        culprits = bisect(check_input.pair, check_input.call(0), dtype)
        for number, culprit in enumerate(islice(culprits, MAX_CULPRITS), start=1):
            path = folder / f"culprit{number}.png"
            write_picture(check_input.pair, culprit, path)
            yield f"{number}. {describe_culprit(culprit)}\n  picture: {path}"
