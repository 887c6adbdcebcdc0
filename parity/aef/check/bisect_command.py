"""Find and describe culprits for `aef-parity bisect`."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from parity.aef.check.check_input import CheckInput
from parity.comparison.bisection import bisect
from parity.comparison.precision import matmul_precision
from parity.report.describe_culprit import describe_culprit
from parity.report.picture import write_picture

MAX_CULPRITS = 5
"""The most culprits that are described; later ones are mostly the same fault in the next block."""


def describe_culprits(check_input: CheckInput, dtype: str, folder: Path) -> Iterator[str]:
    """Describe each culprit as it is found, and draw it as PNG. Yields nothing if both agree.

    Args:
        check_input: What is compared.
        dtype: The dtype to compute in.
        folder: Where the pictures are written.

    Yields:
        A paragraph per culprit.
    """
    with matmul_precision():
        culprits = bisect(check_input.pair, check_input.call(0), dtype)
        for number, culprit in enumerate(islice(culprits, MAX_CULPRITS), start=1):
            path = folder / f"culprit{number}.png"
            write_picture(check_input.pair, culprit, path)
            yield f"{number}. {describe_culprit(culprit)}\n  picture: {path}"
