"""Write the metrics of a run as JSON lines and for TensorBoard."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import jax

from aef_jax.files.atomic import replace_file
from aef_jax.run.metrics_record import parse_record
from configs.serialization.read_file import require_regular


class MetricsWriter:
    """Appends records to `metrics.jsonl` and to TensorBoard's logs, on the first host only.

    A resumed run drops the records of later steps, so that each step is recorded once.

    Args:
        path: of `metrics.jsonl`.
        tensorboard: folder of TensorBoard's logs.
        resumed_at: number of steps that are already done.
    """

    def __init__(self, path: Path, tensorboard: Path, resumed_at: int):
        self.first_host = jax.process_index() == 0
        if not self.first_host:
            return
        _drop_after(path, resumed_at)
        self.lines = path.open("a", buffering=1)
        self.tensorboard = _open_tensorboard(tensorboard, purge_step=resumed_at + 1)

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """Write one record. Numbers that are not finite are written as null.

        All kinds but "speed" are identical to the bit in an interrupted and in an uninterrupted run. Of several hosts,
        the first counts only its own examples without input or target ("train").

        Args:
            kind: "train", "validation" (other ground), "validation_dates" (other ground and dates), "labels" (labeled
                points on other ground) or "speed".
            step: number of steps done.
            values: numbers by name.
        """
        if not self.first_host:
            return
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self.lines.write(json.dumps({"step": step, "kind": kind, **finite}) + "\n")
        for name, value in values.items():
            self.tensorboard.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Close the files."""
        if self.first_host:
            self.lines.close()
            self.tensorboard.close()


def _open_tensorboard(folder: Path, purge_step: int) -> Any:
    """Open TensorBoard's logs without PyTorch, which tensorboardX imports if it is installed: it takes 2 s."""
    modules: dict[str, Any] = sys.modules
    hidden = modules.setdefault("torch", None) is None  # None makes an import raise ImportError
    try:
        from tensorboardX import SummaryWriter
    finally:
        if hidden:
            del modules["torch"]
    return SummaryWriter(str(folder), purge_step=purge_step)


def _drop_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    require_regular(path)
    with path.open(errors="replace") as lines, replace_file(path) as temporary, temporary.open("w") as file:
        file.writelines(line.rstrip("\n") + "\n" for line in lines if _step(line) <= step)


def _step(line: str) -> float:
    """Return the step of a record, or infinity for a line that a crash cut short, so that it is dropped."""
    try:
        return parse_record(line)["step"]
    except ValueError:
        return float("inf")
