"""What `aef embed` computes: a model's fields of valid periods, into files."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

from aef_jax.inference.load_run import load_run
from aef_jax.inference.site import TILES_PER_DEVICE, default_batch
from aef_jax.inference.target import Target
from aef_jax.run.data_levels import level_warning
from aef_jax.run.folder import RunFolder
from aef_jax.run.steps import Which, find_step
from configs.fields.embedder import Embedder
from configs.fields.periods import Period
from configs.serialization.printable import print_lines, printable
from configs.validate import require_multiple

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


def open_weights(
    path: Path,
    framework: str = "jax",
    which: Which = "latest",
    tile_side: int | None = None,
) -> Weights:
    """Open a run, or weights of another framework.

    Args:
        path: the folder of a run; or a file or folder of weights.
        framework: "jax", or the name of an entry point of `FRAMEWORKS`.
        which: the checkpoint of a run.
        tile_side: of the tiles to compute, in pixels; by default that of training. Larger ones show the model more
            ground around each pixel, and have fewer borders.

    Returns:
        The weights.

    Raises:
        ValueError: they cannot be read, the framework is not installed, or the side is not a multiple of 16.
    """
    if tile_side is not None:
        require_multiple("embed", "tile_side", tile_side, of=16)
        weights = open_weights(path, framework, which)
        config = weights.embedder.config
        config = replace(config, data=replace(config.data, tile_side=tile_side))
        return weights._replace(embedder=replace(weights.embedder, config=config))
    if framework == "jax":
        run = RunFolder(path)
        run.read_config()  # tells a folder that is no run's before one without checkpoints
        step = find_step(run.checkpoints, which)
        return Weights(load_run(path, step), f"{path.absolute().name}, step {step}", default_batch())
    loaders = {entry.name: entry for entry in entry_points(group=FRAMEWORKS)}
    if framework not in loaders:
        raise ValueError(f"framework {printable(framework)!r} is not installed, expected one of {['jax', *loaders]}")
    return Weights(loaders[framework].load()(path), path.name, TILES_PER_DEVICE)


def tell_other_levels(run_path: Path, which: Which, levels: Mapping[str, str], where: str) -> None:
    """Print a line if data have other processing levels than those that a run was trained on.

    Args:
        run_path: the folder of the run.
        which: the checkpoint.
        levels: of the data, by source.
        where: names the data.
    """
    checkpoints = RunFolder(run_path).checkpoints
    if warning := level_warning(checkpoints, find_step(checkpoints, which), levels, where):
        print_lines(f"aef: {warning}", file=sys.stderr)
