"""What goes with the tensors of a checkpoint, in either framework."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from configs.config import Config
from configs.serialization.config_json import from_json

CONFIG, NORMALISATION, STEP, TRAINING = "aef_config", "aef_normalisation", "aef_step", "aef_training"
"""Where a weights file carries them in its metadata: JSON, but for the step."""


@dataclass(frozen=True)
class Training:
    """What training needs to go on, beside parameters and moments."""

    counters: dict[str, int | float | bool]
    """Of the optimiser: steps of Adam, the place in the learning rate's course, steps that were skipped."""
    position: dict[str, int]
    """In the data."""
    data: dict[str, Any]
    """What is trained on."""
    scores: dict[str, float]
    """On held-out data at this step; empty where it was not evaluated."""


@dataclass(frozen=True)
class CheckpointMetadata:
    """Texts are kept as they are."""

    config: str
    normalization: str | None
    step: int
    training: Training | None

    def as_metadata(self) -> dict[str, str]:
        """For a weights file."""
        training = None if self.training is None else json.dumps(asdict(self.training))
        texts = {CONFIG: self.config, NORMALISATION: self.normalization, STEP: str(self.step), TRAINING: training}
        return {key: text for key, text in texts.items() if text is not None}

    @classmethod
    def from_metadata(cls, path: Path, metadata: dict[str, str]) -> "CheckpointMetadata":
        """What `as_metadata` gave. Raises ValueError, naming the file, where it is something else."""
        if CONFIG not in metadata:
            raise ValueError(
                f"{path} carries no config under {CONFIG!r} in its metadata, which says what model it is of"
            )
        step = metadata.get(STEP, "0")
        if not (step.isascii() and step.isdecimal() and len(step) < 19):
            raise ValueError(f"{path}: {STEP} in its metadata is {step!r}, expected a number of steps")
        training = _training(path, metadata[TRAINING]) if TRAINING in metadata else None
        return cls(metadata[CONFIG], metadata.get(NORMALISATION), int(step), training)

    def parse_config(self, path: Path) -> Config:
        """Raises ValueError, naming the file it came with, where it is none."""
        try:
            return from_json(self.config)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: {CONFIG} in its metadata: {error}") from None


def _training(path: Path, text: str) -> Training:
    names = [field.name for field in fields(Training)]
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict) or sorted(tree) != sorted(names):
        raise ValueError(f"{path}: {TRAINING} in its metadata is not the JSON of an object of {', '.join(names)}")
    wrong = [name for name in names if not isinstance(tree[name], dict)]
    if wrong:
        raise ValueError(f"{path}: {TRAINING} in its metadata: {wrong[0]} is {tree[wrong[0]]!r}, expected an object")
    return Training(**tree)
