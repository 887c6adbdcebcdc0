"""What a checkpoint holds beside its tensors, in either framework."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from aef_jax.run.format import upgrade_scores
from aef_jax.run.optimizer_tree import COUNTERS_V1
from configs.config import Config
from configs.serialization.config_json import from_json
from configs.serialization.printable import printable_value
from configs.serialization.strict_json import loads
from configs.serialization.weights_metadata import CONFIG, NORMALIZATION, STEP, TRAINING, find_normalization


@dataclass(frozen=True)
class Training:
    """What training needs to continue, beside parameters and moments."""

    counters: dict[str, int | float | bool]
    """Scalars of the optimizer state: steps of Adam and of the schedule, and skipped steps."""
    position: dict[str, int]
    """Position in the data."""
    data: dict[str, Any]
    """What identifies the training data."""
    scores: dict[str, float]
    """Validation loss at this step; empty if it was not evaluated."""


@dataclass(frozen=True)
class CheckpointMetadata:
    """Texts are kept to the byte."""

    config: str
    normalization: str | None
    step: int
    training: Training | None

    def as_metadata(self) -> dict[str, str]:
        """Convert to the metadata of a weights file.

        Returns:
            Texts by key.
        """
        training = None if self.training is None else json.dumps(asdict(self.training))
        texts = {CONFIG: self.config, NORMALIZATION: self.normalization, STEP: str(self.step), TRAINING: training}
        return {key: text for key, text in texts.items() if text is not None}

    @classmethod
    def from_metadata(cls, path: Path, metadata: dict[str, str]) -> "CheckpointMetadata":
        """Read what `as_metadata` made, in this or an older version.

        Args:
            path: the weights file, for messages.
            metadata: texts by key.

        Returns:
            The metadata.

        Raises:
            ValueError: the texts are something else; the message names the file.
        """
        if CONFIG not in metadata:
            raise ValueError(
                f"{path} carries no config under {CONFIG!r} in its metadata, which says what model it is of:"
                " give --config PRESET, a config file or a run"
            )
        step = metadata.get(STEP, "0")
        if not (step.isascii() and step.isdecimal() and len(step) < 19):
            raise ValueError(f"{path}: {STEP} in its metadata is {printable_value(step)}, expected a number of steps")
        training = _training(path, metadata[TRAINING]) if TRAINING in metadata else None
        return cls(metadata[CONFIG], find_normalization(metadata), int(step), training)

    def parse_config(self, path: Path) -> Config:
        """Parse the config.

        Args:
            path: the file it came with, for messages.

        Returns:
            The config.

        Raises:
            ValueError: it is invalid; the message names the file.
        """
        try:
            return from_json(self.config)
        except ValueError as error:
            raise ValueError(f"{path}: {CONFIG} in its metadata: {error}") from None


def _training(path: Path, text: str) -> Training:
    names = [field.name for field in fields(Training)]
    try:
        tree = loads(path, text)
    except ValueError:
        tree = None
    if not isinstance(tree, dict) or sorted(tree) != sorted(names):
        raise ValueError(f"{path}: {TRAINING} in its metadata is not the JSON of an object of {', '.join(names)}")
    wrong = [name for name in names if not isinstance(tree[name], dict)]
    if wrong:
        raise ValueError(
            f"{path}: {TRAINING} in its metadata: {wrong[0]} is {printable_value(tree[wrong[0]])}, expected an object"
        )
    counters: dict[str, Any] = {COUNTERS_V1.get(name) or name: value for name, value in tree["counters"].items()}
    return Training(counters, tree["position"], tree["data"], upgrade_scores(tree["scores"]))
