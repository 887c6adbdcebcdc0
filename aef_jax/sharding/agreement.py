"""Check that all processes of a run were started with the same settings and data."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental.multihost_utils import process_allgather

from configs.serialization.differences import changes_between, shown


def check_agreement(described: Mapping[str, Any]) -> None:
    """Check that every process describes the run in the same words. Nothing is compared if there is one process.

    Args:
        described: what must be the same, such as a config, as nested values of JSON.

    Raises:
        ValueError: a process describes something else than the first; raised in every process alike.
    """
    if jax.process_count() == 1:
        return
    described_by = [json.loads(text) for text in _gathered(json.dumps(described))]
    if difference := first_difference(described_by):
        raise ValueError(f"{difference}: start all processes with the same settings and data")


def first_difference(described_by: Sequence[Mapping[str, Any]]) -> str:
    """Say which process describes the run in other words than the first.

    Args:
        described_by: by process, what must be the same.

    Returns:
        A clause on the first difference; empty if there is none.
    """
    first, *others = described_by
    for process, other in enumerate(others, start=1):
        for name, of_first, of_other in changes_between("", first, other):
            return f"process {process} was started with {name} {shown(of_other)} and process 0 with {shown(of_first)}"
    return ""


def _gathered(text: str) -> list[str]:
    """Return the texts of all processes."""
    own = np.frombuffer(text.encode(), np.uint8)
    sizes = np.ravel(process_allgather(np.int32(own.size)))
    padded = np.zeros(sizes.max(), np.uint8)
    padded[: own.size] = own
    rows = process_allgather(padded)
    return [bytes(row[:size]).decode() for row, size in zip(rows, sizes, strict=True)]
