"""Where a run's numbers go: JSON lines, and TensorBoard."""

import json
import math
from pathlib import Path

import jax
from tensorboardX import SummaryWriter

from aef_jax.files.atomic import replacing


class MetricsWriter:
    """Appends records to `metrics.jsonl` and to TensorBoard's logs; on the first host only.

    A run that resumes at a step drops what was written after it, so each step is there once.
    """

    def __init__(self, path: Path, tensorboard: Path, resumed_at: int):
        self.first_host = jax.process_index() == 0
        if not self.first_host:
            return
        _forget_after(path, resumed_at)
        self.lines = path.open("a", buffering=1)
        self.tensorboard = SummaryWriter(str(tensorboard), purge_step=resumed_at + 1)

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """One record, null where a number is not finite.

        `kind` is "train", "heldout" (other ground), "heldout_dates" (other ground and dates) or "speed": all but the
        last are the same to the bit in a run that was interrupted and one that was not.
        """
        if not self.first_host:
            return
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self.lines.write(json.dumps({"step": step, "kind": kind, **finite}) + "\n")
        for name, value in values.items():
            self.tensorboard.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        if self.first_host:
            self.lines.close()
            self.tensorboard.close()


def _forget_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = [line for line in path.read_text().splitlines() if _step(line) <= step]
    with replacing(path) as temporary:
        temporary.write_text("".join(line + "\n" for line in kept))


def _step(line: str) -> float:
    """The step of a record; a line that a crash cut short belongs to no step that is kept."""
    try:
        return json.loads(line)["step"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return float("inf")
