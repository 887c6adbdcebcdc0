"""Time `aef embed` beside the model alone: `python -m aef_jax.benchmark.embed_imagery small --tiles 4 --frames 60`.

It writes GeoTIFFs of made-up Sentinel-2 scenes, one per date, and embeds the ground that they show straight from them.
The model alone computes batches of the same shape that are on the devices already. Weights are random.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import rasterio
from flax import nnx

from aef_jax.benchmark.data_build import BANDS, CONFIG
from aef_jax.benchmark.process_memory import peak_bytes
from aef_jax.cli.resolve_config import resolve
from aef_jax.console.tables import format_table
from aef_jax.data.build.sites.utm_grid import WGS84, transformer
from aef_jax.data.places.geometry import Rings
from aef_jax.data.store.normalization import Normalization
from aef_jax.files.resumable import Part, end_work
from aef_jax.inference.embed import CompiledEmbed
from aef_jax.inference.imagery.embed_imagery import ImageryFields
from aef_jax.inference.packing import budget_of, max_present, pack_frames
from aef_jax.inference.request import Request, Weights
from aef_jax.inference.site import default_batch
from aef_jax.inference.target import Target
from aef_jax.model.alphaearth import AlphaEarth
from aef_jax.sharding.mesh import sharding
from configs.batch import Frames
from configs.fields.embedder import Embedder
from configs.fields.frames import read_period
from configs.fields.layout import step_of
from configs.serialization.printable import print_lines
from configs.source import PIXEL_M

YEAR = 2023
WEST, NORTH = 499_200, 5_600_640
"""Corner of the ground, in EPSG:32631: that of a core of tiles of 128 pixels."""


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", metavar="PRESET|CONFIG.json|RUN")
    parser.add_argument("--tiles", type=int, default=4, help="tiles along each side of the area (default: 4)")
    parser.add_argument("--frames", type=int, default=60, help="scenes of a year (default: 60)")
    parser.add_argument("--workers", type=int, default=(os.cpu_count() or 2) - 1, help="processes that read files")
    return parser


def main() -> None:
    """Print a table of km2 per hour and frames per second, and the peak memory."""
    options, settings = make_parser().parse_known_args()
    config, _ = resolve(options.what, settings)
    extent = options.tiles * step_of(config.data.tile_side)
    embed = CompiledEmbed(config)
    params = embed.place(nnx.state(AlphaEarth(config, rngs=nnx.Rngs(0))))
    statistics = Normalization({"sentinel2": np.full(5, 6.5)}, {"sentinel2": np.ones(5)})
    calls = Calls(embed, params)

    with tempfile.TemporaryDirectory() as folder:
        write_scenes(Path(folder), extent, config.data.tile_side, options.frames)
        weights = Weights(Embedder(config, statistics, calls), "random", default_batch())
        target = Target(Path(folder) / "field", "cog", "int8", stac=False)
        request = Request(weights, [read_period(YEAR)], None, target)
        tiles = options.tiles**2
        first = ImageryFields(request, Path(folder) / "build.toml", polygon_of_ground(extent))
        first.compute(options.workers, Part(1, tiles))  # a tile, which compiles the program
        end_work(first.folder)
        fields = ImageryFields(request, Path(folder) / "build.toml", polygon_of_ground(extent))
        calls.count = 0
        start = time.perf_counter()
        fields.compute(options.workers)
        fields.write()
        seconds = {"aef embed": time.perf_counter() - start}
    seconds["model alone"] = calls.time_alone()
    rows = [("", "s", "km2/h", "frames/s")]
    for name in ("aef embed", "model alone"):
        spent = seconds[name]
        area = tiles * (step_of(config.data.tile_side) * PIXEL_M / 1000) ** 2
        rows.append((name, f"{spent:.1f}", f"{3600 * area / spent:.0f}", f"{tiles * options.frames / spent:.0f}"))
    print_lines(
        f"{tiles} tiles of {options.frames} frames on {jax.local_device_count()} {jax.devices()[0].device_kind}"
    )
    print_lines("\n".join(format_table(rows, "<>")))
    rest = seconds["aef embed"] / seconds["model alone"] - 1
    print_lines(f"all the rest adds {rest:.1%}; peak memory {peak_bytes() / 1e9:.2f} GB")


class Calls:
    """The model as an `Embed`, which keeps its last batch and counts batches.

    Args:
        embed: the model.
        params: its parameters.
    """

    def __init__(self, embed: CompiledEmbed, params: nnx.State):
        self.embed, self.params, self.count = embed, params, 0
        self.last: tuple[Any, Any] = (None, None)

    def __call__(self, frames: Any, periods: Any) -> Any:
        """Compute a batch."""
        self.count, self.last = self.count + 1, (frames, periods)
        return self.embed(self.params, frames, periods)

    def time_alone(self) -> float:
        """Compute the last batch as often as there were batches, with its frames packed and on the devices.

        Returns:
            Seconds.
        """
        frames, periods = self.last
        budget = budget_of(max_present(frames))
        size = min(len(periods), max(1, self.embed.frames_per_device // budget))  # as the embedder divides it
        packed = pack_frames(
            {name: Frames(*(x[:size] for x in f)) for name, f in frames.items()}, self.embed.sources, size, budget
        )
        batch = jax.device_put((packed, periods[:size]), sharding(self.embed.mesh, "sequence"))
        jax.block_until_ready(self.embed.program(self.params, *batch))
        start = time.perf_counter()
        for _ in range(self.count * -(-len(periods) // size)):
            jax.block_until_ready(self.embed.program(self.params, *batch))
        return time.perf_counter() - start


def polygon_of_ground(extent: int) -> list[Rings]:
    """Return the polygon of the ground.

    Args:
        extent: pixels along each side.

    Returns:
        A square without the outer meter, so that it touches no further tiles.
    """
    low, high = 1, extent * PIXEL_M - 1
    corners = np.array([(low, low), (high, low), (high, high), (low, high), (low, low)]) * [1, -1] + [WEST, NORTH]
    return [[np.stack(transformer("EPSG:32631", WGS84).transform(*corners.T.astype(float)), axis=-1)]]


def write_scenes(folder: Path, extent: int, side: int, frames: int) -> None:
    """Write a scene of the ground and a tile's buffer around it for each date, and a config that reads them.

    Args:
        folder: takes the files.
        extent: pixels along each side of the ground.
        side: of a tile, in pixels.
        frames: dates.
    """
    noise, buffer = np.random.default_rng(0), side // 8
    length = extent + 2 * buffer
    dates = np.linspace(0, 364, frames).astype("timedelta64[D]") + np.datetime64(f"{YEAR}-01-01")
    transform = rasterio.Affine(PIXEL_M, 0, WEST - buffer * PIXEL_M, 0, -PIXEL_M, NORTH + buffer * PIXEL_M)
    profile = {
        "driver": "GTiff",
        "height": length,
        "width": length,
        "count": len(BANDS),
        "dtype": "uint16",
        "nodata": 0,
    }
    profile |= {"crs": "EPSG:32631", "tiled": True, "compress": "deflate", "transform": transform}
    for date in dates:
        pixels = noise.integers(300, 3000, (len(BANDS), 1, 1)) + noise.integers(0, 30, (len(BANDS), length, length))
        pixels[-1] = 4  # SCL: vegetation
        name = f"s2_{str(date).replace('-', '')}T103000.tif"
        with rasterio.open(folder / name, "w", **profile) as file:
            file.write(pixels.astype(np.uint16))
            file.descriptions = BANDS
    text = "\n".join(line for line in CONFIG.splitlines() if not line.startswith(("[sites]", "side", "extent_of")))
    (folder / "build.toml").write_text(text.replace("*/*.tif", "*.tif"))


if __name__ == "__main__":
    main()
