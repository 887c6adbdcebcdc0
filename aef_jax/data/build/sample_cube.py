"""Read the sample: the Sentinel-2 cube of a forest site in Romania, which the PyPI package `nrt` contains.

Two NetCDF files, at 10 m and at 20 m, hold the five Sentinel-2 bands of AEF on 140 dates of 2015 to 2021, 1 km x 1 km.
They are surface reflectance (L2A), whereas the paper uses L1C.
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
"""Classes of the scene classification that count as clear sky: vegetation, bare soil and unclassified, as in nrt's own
documentation. Besides clouds, this leaves out shadow, dark ground, water and snow."""

CRS = "EPSG:3035"
"""Projection of the files. Their own description of it has a datum shift, so GIS software does not recognize it."""

TRAINING_COLUMNS = slice(0, 64)
VALIDATION_COLUMNS = slice(68, 100)
HELD_OUT_EVERY = 5


def load_sample() -> Site:
    """Read the whole cube.

    Returns:
        A site with Sentinel-2 frames, in reflectance * 10000.

    Raises:
        ModuleNotFoundError: the extra `sample` is not installed; the message says what to install.
        ValueError: the files have different dates.
    """
    fine, coarse = (_open(f"sentinel2_cube_subset_romania_{resolution}.nc") for resolution in ("10m", "20m"))
    if not np.array_equal(fine.time, coarse.time):
        raise ValueError("the sample's 10 m and 20 m files have different dates")
    bands = {name: fine[name].values.astype(np.float32) for name in ("B2", "B3", "B4", "B8")}
    bands["B11"] = _to_10m(coarse["B11"].values.astype(np.float32))
    stored = np.stack([bands[band.name] for band in SENTINEL2.bands], axis=-1)
    pixels = np.where(stored > 0, stored, np.nan)  # 0 means no data in the file
    is_clear = np.isin(fine["SCL"].values, CLEAR)
    series = Series(
        pixels,
        is_clear[..., None] & np.isfinite(pixels),
        fine.time.values.astype("datetime64[ms]").astype(np.int64),
        metadata=np.zeros((len(pixels), SENTINEL2.metadata_width), np.float32),
    )
    west, north = float(fine.x[0]) - 5, float(fine.y[0]) + 5  # the file gives pixel centers
    return Site("romania", {SENTINEL2.name: series}, CRS, (10, 0, west, 0, -10, north))


class SampleSplit(NamedTuple):
    """Ground for training and for validation, and the dates at which the validation ground is reconstructed."""

    training: Site
    validation: Site
    seen_ms: Int64[np.ndarray, "S"]
    """Dates of which training has frames too, of its own ground: held out by site, as in the paper."""
    unseen_ms: Int64[np.ndarray, "M"]
    """Dates of which training has no frame: held out by site and by date. This is harder, because with few sites the
    look of a date (its haze and light) can be memorized."""


def split_sample(site: Site) -> SampleSplit:
    """Split the sample: the west without every fifth frame is for training, the east for validation.

    Args:
        site: the sample.

    Returns:
        Both parts, and the dates to reconstruct: every fifth, and as many that training has too.
    """
    rows, times_ms = slice(0, site.shape[0]), site.series[SENTINEL2.name].time_ms
    west, east = site.window(rows, TRAINING_COLUMNS), site.window(rows, VALIDATION_COLUMNS)
    seen_ms, unseen_ms = times_ms[1::HELD_OUT_EVERY], times_ms[::HELD_OUT_EVERY]
    return SampleSplit(west.without(unseen_ms), east, seen_ms, unseen_ms)


def _open(name: str):
    # located, not imported: importing nrt loads a compiler, which reading two files does not need
    spec = importlib.util.find_spec("nrt")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the sample cube is in the package nrt 0.2.1: install aef[sample]")
    path = Path(spec.origin).parent / "data" / name
    if not path.exists():
        raise ModuleNotFoundError(f"nrt has no {name}, which its version 0.2.1 contains: install aef[sample]")
    import xarray

    return xarray.open_dataset(path, mask_and_scale=False).load()


def _to_10m(pixels: Float32[np.ndarray, "N h w"]) -> Float32[np.ndarray, "N H W"]:
    """Resample bilinearly. A pixel without data (0) has no weight, and stays 0 if no pixel near it has data."""
    has_data = (pixels > 0).astype(np.float32)
    values, weight = (
        np.asarray(zoom(array, (1, 2, 2), order=1, mode="nearest", grid_mode=True)) for array in (pixels, has_data)
    )
    return np.where(weight > 0.5, values / np.maximum(weight, 0.5), 0).astype(np.float32)
