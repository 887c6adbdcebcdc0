"""Names in the format of a checkpoint. `aef_jax` and `parity` both take them from here.

A checkpoint is a folder that Orbax writes, `checkpoints/STEP/`, with these items:

- `params`: the parameters, a nested dict by attribute names.
- `optimizer`: the optimizer state by name, see `aef_jax.run.optimizer_tree`. Absent if there are parameters alone.
- `data`: JSON with the position in the data, `{"next_example": ...}`.
- `run`: JSON with the format's version, the config, the statistics, and what identifies the training data.
- `metrics`: JSON with the validation loss, if the model was evaluated at this step.
- `manifest`: JSON with a checksum of each tensor, if `aef-parity convert` wrote the checkpoint.

Beside the items is `checksums.json` with the size and CRC-32 of each of their files, and a CRC-32 of that list. It is
written last. Checkpoints of older programs have none.

Version 1 had no version number. Its `optimizer` was the flat list of the state's leaves in optax's order, its
validation loss was called `heldout`, and the run's statistics were in `normalisation.json`. It is still read.
"""

from collections.abc import Mapping
from typing import Any

VERSION = 2

PARAMS, OPTIMIZER, DATA, RUN, METRICS, MANIFEST = "params", "optimizer", "data", "run", "metrics", "manifest"
"""Items of a checkpoint."""

CHECKSUMS = "checksums.json"
"""The file beside the items with what `aef_jax.run.checksums` verifies."""
FILES, BYTES, CRC32 = "files", "bytes", "crc32"
"""Keys of that file: its files by name, and the size and the checksum, in hexadecimal, of each."""

NEXT_EXAMPLE = "next_example"
"""Key of the item `data`: the number of examples that training has drawn."""

VERSION_KEY, CONFIG_KEY, NORMALIZATION_KEY, DATA_KEY = "version", "config", "normalization", "data"
"""Keys of the item `run`."""

SCORE = "validation"
"""Key of the item `metrics`: the loss on validation data."""

_OLD_SCORE = "heldout"
_OLD_KINDS = {"heldout": "validation", "heldout_dates": "validation_dates"}


def run_item(config: Any, normalization: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """Make the item `run` of a checkpoint.

    Args:
        config: the run's config as parsed JSON.
        normalization: the run's statistics as parsed JSON, or None.
        data: what identifies the training data.

    Returns:
        The item, for JSON.
    """
    return {VERSION_KEY: VERSION, CONFIG_KEY: config, NORMALIZATION_KEY: normalization, DATA_KEY: dict(data)}


def version_of(run: Mapping[str, Any]) -> int:
    """Return the version of the format that a checkpoint has.

    Args:
        run: the checkpoint's item `run`.

    Returns:
        1 or 2.

    Raises:
        ValueError: the version is unknown, such as that of a newer program.
    """
    version = run.get(VERSION_KEY, 1)
    if version not in range(1, VERSION + 1) or isinstance(version, bool):
        raise ValueError(f"the checkpoint's format has version {version!r}, expected at most {VERSION}: update aef")
    return version


def score_of(scores: Mapping[str, float]) -> float:
    """Return the validation loss in a checkpoint's item `metrics`, of any version.

    Args:
        scores: the item.

    Returns:
        The loss.

    Raises:
        KeyError: the item has no validation loss.
    """
    return scores[SCORE] if SCORE in scores else scores[_OLD_SCORE]


def upgrade_scores(scores: Mapping[str, float]) -> dict[str, float]:
    """Rename the validation loss in an item `metrics` of version 1.

    Args:
        scores: the item.

    Returns:
        The item under the names of today.
    """
    return {SCORE if name == _OLD_SCORE else name: value for name, value in scores.items()}


def upgrade_kind(kind: str) -> str:
    """Rename the kind of a record in `metrics.jsonl`, if a run of version 1 wrote it.

    Args:
        kind: what the record says.

    Returns:
        `heldout` becomes `validation` and `heldout_dates` becomes `validation_dates`; others stay.
    """
    return _OLD_KINDS.get(kind, kind)
