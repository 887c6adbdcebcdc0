"""Read the frames of tiles straight from imagery."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import rasterio

from aef_jax.data.build.config import read_build_config
from aef_jax.data.build.frames.frames import BuildReport, Reject, read_series
from aef_jax.data.build.readers.grid import Grid
from aef_jax.data.build.readers.remote import GDAL_OPTIONS
from aef_jax.data.build.site_builder import SiteBuilder
from aef_jax.data.build.workers import Submit, in_processes
from aef_jax.inference.site import to_stack
from configs.fields.embedder import Embedder
from configs.fields.periods import Period
from configs.fields.stacks import FrameStack


class GroundFrames(NamedTuple):
    """What the files show of some ground in a support period."""

    stacks: dict[str, FrameStack]
    """z-scored frames by input source; none if no file shows the ground."""
    rejects: list[Reject]
    """Files that are not used."""


class TileReader:
    """Reads the frames of tiles from the files and catalogs of a build config.

    Args:
        config_path: the config, a TOML file; its `sites` and `labels` are not read.
        embedder: the model and its statistics.

    Raises:
        ValueError: the config is wrong, or has none of the model's input sources.
    """

    def __init__(self, config_path: Path, embedder: Embedder):
        self.config = read_build_config(config_path)
        known = embedder.statistics.known(embedder.config.input_sources)
        read = {source.name: source for source in self.config.sources}
        self.sources = [source for source in known if source.name in read]
        if not self.sources:
            raise ValueError(
                f"{config_path}: its sources are {sorted(read)}, expected some of the inputs"
                f" {[source.name for source in known]}"
            )
        for source in self.sources:
            if [(b.name, b.unit) for b in read[source.name].bands] != [(b.name, b.unit) for b in source.bands]:
                raise ValueError(f"{config_path}, source {source.name}: the model has other bands of it")
        self.statistics = embedder.statistics
        self.builder = SiteBuilder(self.config, config_path.parent)

    def read(self, grid: Grid, support: Period) -> GroundFrames:
        """Read the frames of a block of tiles.

        Args:
            grid: its pixels.
            support: the period of the frames.

        Returns:
            All frames in the period.

        Raises:
            ValueError: a catalog cannot be read, or the values of most files contradict their unit.
        """
        report, stacks = BuildReport(), {}
        with rasterio.Env(**GDAL_OPTIONS):
            for source in self.sources:
                series = read_series(source, self.builder.entries_of(source.name), grid, support, report)
                if series is not None:
                    stacks[source.name] = to_stack(self.statistics, source, series)
        return GroundFrames(stacks, report.rejects)


@contextmanager
def open_readers(reader: TileReader, workers: int) -> Iterator[Submit]:
    """Read tiles while others are computed.

    Args:
        reader: reads them.
        workers: processes that read; 0 for a thread of this process.

    Yields:
        What starts to call a function with the reader and further arguments.
    """
    if workers:
        with in_processes(reader, workers) as submit:
            yield submit
    else:
        with ThreadPoolExecutor(1) as pool:

            def submit_here(function: Any, *arguments: Any) -> Future[Any]:
                return pool.submit(function, reader, *arguments)

            yield submit_here


def read_block(reader: TileReader, grid: Grid, support: Period) -> GroundFrames:
    """Call `TileReader.read`; a function that processes can be sent.

    Args:
        reader: reads it.
        grid: as there.
        support: as there.

    Returns:
        As there.
    """
    return reader.read(grid, support)
