"""What `aef embed` computes: a model's fields of valid periods, into files."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

from aef_jax.data.store.dataset import Dataset
from aef_jax.inference.load_run import load_run
from aef_jax.inference.site import TILES_PER_DEVICE, default_batch
from aef_jax.inference.target import Target
from aef_jax.run.data_levels import level_warning
from aef_jax.run.folder import RunFolder
from aef_jax.run.steps import Which, find_step
from configs.fields.embedder import Embedder
from configs.fields.periods import Period
from configs.serialization.printable import print_lines, printable

FRAMEWORKS = "aef.frameworks"
"""Group of entry points that load weights of other frameworks, each a function of their path that returns an
`Embedder`. So this package need not import them."""


class Weights(NamedTuple):
    """A model that is ready to embed."""

    embedder: Embedder
    name: str
    """What the weights are, for people."""
    batch: int
    """Tiles to compute at once."""


@dataclass(frozen=True)
class Request:
    """What to compute, and where to."""

    weights: Weights
    periods: Sequence[Period]
    """Valid periods."""
    support: Period | None
    """The period whose frames are used; None for that of each site or valid period."""
    target: Target


def open_weights(path: Path, framework: str = "jax", which: Which = "latest", data_path: Path | None = None) -> Weights:
    """Open a run, or weights of another framework.

    Args:
        path: the folder of a run; or a file or folder of weights.
        framework: "jax", or the name of an entry point of `FRAMEWORKS`.
        which: the checkpoint of a run.
        data_path: of the data set that the run will embed, in place of its own. A line tells if it has other processing
            levels than the run's.

    Returns:
        The weights.

    Raises:
        ValueError: they cannot be read, or the framework is not installed.
    """
    if framework == "jax":
        run = RunFolder(path)
        step = find_step(run.checkpoints, which)
        if data_path:
            levels = Dataset.open(data_path).levels
            if warning := level_warning(run.checkpoints, step, levels, str(data_path)):
                print_lines(f"aef: {warning}", file=sys.stderr)
        return Weights(load_run(path, step), f"{path.absolute().name}, step {step}", default_batch())
    found = {entry.name: entry for entry in entry_points(group=FRAMEWORKS)}
    if framework not in found:
        raise ValueError(f"framework {printable(framework)!r} is not installed, expected one of {['jax', *found]}")
    return Weights(found[framework].load()(path), path.name, TILES_PER_DEVICE)
