"""The sample that runs need no download for: the Sentinel-2 cube of a forest site in Romania inside PyPI's `nrt`.

Two NetCDF files, at 10 m and at 20 m, hold the five Sentinel-2 bands of AEF on 140 dates of 2015 to 2021, 1 km x 1 km.
(It is surface reflectance, L2A, where the paper uses L1C.)
"""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64
from scipy.ndimage import zoom

from aef_jax.data.store.site import Series, Site
from configs.sources import SENTINEL2

CLEAR = (4, 5, 7)
"""Classes of the scene classification that count as clear sky: vegetation, bare soil and unclassified, the three that
nrt's own documentation keeps. Left out with the clouds: shadow, dark ground and what it takes for water, and snow."""

CRS = "EPSG:3035"
"""The files' own projection, by its number: their text of it has a datum shift that keeps GIS from knowing it."""

TRAINING_COLUMNS = slice(0, 64)
HELDOUT_COLUMNS = slice(68, 100)
HELDOUT_EVERY = 5


def load_sample() -> Site:
    """The whole cube, in reflectance * 10000.

    Raises ModuleNotFoundError, with what to install, where the extra `sample` is missing.
    """
    fine, coarse = (_open(f"sentinel2_cube_subset_romania_{resolution}.nc") for resolution in ("10m", "20m"))
    if not np.array_equal(fine.time, coarse.time):
        raise ValueError("the sample's 10 m and 20 m files have different dates")
    bands = {name: fine[name].values.astype(np.float32) for name in ("B2", "B3", "B4", "B8")}
    bands["B11"] = _to_10m(coarse["B11"].values.astype(np.float32))
    stored = np.stack([bands[band.name] for band in SENTINEL2.bands], axis=-1)
    pixels = np.where(stored > 0, stored, np.nan)  # 0 is the file's no data
    clear = np.isin(fine["SCL"].values, CLEAR)
    series = Series(
        pixels,
        clear[..., None] & np.isfinite(pixels),
        fine.time.values.astype("datetime64[ms]").astype(np.int64),
        metadata=np.zeros((len(pixels), SENTINEL2.metadata_width), np.float32),
    )
    west, north = float(fine.x[0]) - 5, float(fine.y[0]) + 5  # the file gives the centres of its pixels
    return Site("romania", {SENTINEL2.name: series}, CRS, (10, 0, west, 0, -10, north))


class SampleSplit(NamedTuple):
    """Training and held-out ground, and the acquisition times at which the held-out ground is to be reconstructed."""

    training: Site
    validation: Site
    seen_ms: Int64[np.ndarray, "S"]
    """Times of which training has frames too, of its own ground: held out by site, as the paper holds out."""
    heldout_ms: Int64[np.ndarray, "M"]
    """Times of which training has no frame: held out by site and by date. Harder: on a few sites, what a date looked
    like (its haze, its light) can be learned by heart."""


def split_sample(site: Site) -> SampleSplit:
    """The west of the site without every fifth frame; and the east, to be reconstructed at those and as many others."""
    rows, times_ms = slice(0, site.shape[0]), site.series[SENTINEL2.name].time_ms
    west, east = site.window(rows, TRAINING_COLUMNS), site.window(rows, HELDOUT_COLUMNS)
    seen_ms, heldout_ms = times_ms[1::HELDOUT_EVERY], times_ms[::HELDOUT_EVERY]
    return SampleSplit(west.without(heldout_ms), east, seen_ms, heldout_ms)


def _open(name: str):
    # found, not imported: nrt itself pulls in a compiler that reading two files has no use for
    spec = importlib.util.find_spec("nrt")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the sample cube is in the package nrt 0.2.1: install aef[sample]")
    path = Path(spec.origin).parent / "data" / name
    if not path.exists():
        raise ModuleNotFoundError(f"nrt holds no {name}, which its version 0.2.1 ships: install aef[sample]")
    import xarray

    return xarray.open_dataset(path, mask_and_scale=False).load()


def _to_10m(pixels: Float32[np.ndarray, "N h w"]) -> Float32[np.ndarray, "N H W"]:
    """Bilinear, cell centres in their place; no-data (0) has no weight, and stays where nothing else is near."""
    there = (pixels > 0).astype(np.float32)
    values, weight = (
        np.asarray(zoom(array, (1, 2, 2), order=1, mode="nearest", grid_mode=True)) for array in (pixels, there)
    )
    return np.where(weight > 0.5, values / np.maximum(weight, 0.5), 0).astype(np.float32)
