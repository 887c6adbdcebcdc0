"""Time `aef data build`: `python -m aef_jax.benchmark.data_build --sites 100 --frames 60 --side 128`.

It writes tiled GeoTIFFs of made-up Sentinel-2 scenes, one per site and date, builds a data set from them, and compares
with reading the same bytes, and with reading the same pixels by rasterio without anything else.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio

from aef_jax.benchmark.process_memory import peak_bytes
from aef_jax.console.tables import format_table
from aef_jax.data.build.build import build_dataset
from configs.serialization.printable import print_lines

BANDS = ("B02", "B03", "B04", "B08", "B11", "SCL")
CONFIG = """
support = ["2023-01-01", "2024-01-01"]
[sites]
side = {side}
extent_of = "sentinel2"
[[source]]
name = "sentinel2"
files = ["*/*.tif"]
unit = "reflectance * 10000"
mask = "SCL"
"""
_SITES_PER_ROW = 40


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=100, help="number of sites (default: 100)")
    parser.add_argument("--frames", type=int, default=60, help="scenes of each site (default: 60)")
    parser.add_argument("--side", type=int, default=128, help="pixels along a site (default: 128)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument("--folder", type=Path, help="keep scenes and data set in this new folder")
    return parser


def main() -> None:
    """Print a table of seconds, sites and bytes per second, and the peak memory of the build."""
    options = make_parser().parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        write_scenes(folder, options.sites, options.frames, options.side)
        paths = sorted(folder.glob("*/*.tif"))
        size = sum(path.stat().st_size for path in paths)
        seconds = {
            "read bytes": _time(lambda: [path.read_bytes() for path in paths]),
            "read pixels": _time(lambda: [_read(path) for path in paths]),
            "aef data build": _time(lambda: build_dataset(folder / "build.toml", folder / "built", options.workers)),
        }
        rows = [("", "s", "sites/s", "MB/s")]
        for name, spent in seconds.items():
            rows.append((name, f"{spent:.1f}", f"{options.sites / spent:.1f}", f"{size / spent / 1e6:.1f}"))
        print_lines(f"{options.sites} sites of {options.frames} frames: {len(paths)} files, {size / 1e6:.0f} MB")
        print_lines("\n".join(format_table(rows, "<>")))
        kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print_lines(f"peak memory: {peak_bytes() / 1e9:.2f} GB, and {kilobytes / 1e6:.2f} GB of the largest worker")


def write_scenes(folder: Path, sites: int, frames: int, side: int) -> None:
    """Write scenes of sites side by side, 2 km apart, and a config that builds them.

    Args:
        folder: takes a folder for each site.
        sites: number of sites.
        frames: dates of each.
        side: pixels along a scene.
    """
    noise = np.random.default_rng(0)
    dates = np.linspace(0, 364, frames).astype("timedelta64[D]") + np.datetime64("2023-01-01")
    profile = {"driver": "GTiff", "height": side, "width": side, "count": len(BANDS), "dtype": "uint16", "nodata": 0}
    profile |= {"crs": "EPSG:32631", "tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate"}
    for site in range(sites):
        row, column = divmod(site, _SITES_PER_ROW)
        transform = rasterio.Affine(10, 0, 500_000 + 3000 * column, 0, -10, 5_600_000 - 3000 * row)
        (folder / f"{site:06d}").mkdir()
        for date in dates:
            pixels = noise.integers(300, 3000, (len(BANDS), 1, 1)) + noise.integers(0, 30, (len(BANDS), side, side))
            pixels[-1] = 4  # SCL: vegetation
            name = f"s2_{str(date).replace('-', '')}T103000.tif"
            with rasterio.open(folder / f"{site:06d}" / name, "w", **profile, transform=transform) as file:
                file.write(pixels.astype(np.uint16))
                file.descriptions = BANDS
    (folder / "build.toml").write_text(CONFIG.format(side=side))


def _read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


def _time(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
