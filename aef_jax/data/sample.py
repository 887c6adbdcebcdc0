"""The sample that runs need no download for: the Sentinel-2 cube of a forest site in Romania inside PyPI's `nrt`.

Two NetCDF files, at 10 m and at 20 m, hold the five Sentinel-2 bands of AEF on 140 dates of 2015 to 2021, 1 km x 1 km.
(It is surface reflectance, L2A, where the paper uses L1C.)
"""

import importlib.util
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32
from scipy.ndimage import zoom

from aef_jax.data.site import Series, Site, to_ms
from configs.sources import SENTINEL2

NOT_CLEAR = (0, 1, 3, 8, 9, 10)
"""Classes of the scene classification that count as no observation: no data, defective, cloud shadow, clouds."""

TRAINING_COLUMNS = slice(0, 64)
HELDOUT_COLUMNS = slice(68, 100)
HELDOUT_FROM = "2020-01-01"
HELDOUT_UNTIL = "2021-01-02"


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
    clear = ~np.isin(fine["SCL"].values, NOT_CLEAR)
    series = Series(
        pixels,
        clear[..., None] & np.isfinite(pixels),
        fine.time.values.astype("datetime64[ms]").astype(np.int64),
        metadata=np.zeros((len(pixels), SENTINEL2.metadata_width), np.float32),
    )
    west, north = float(fine.x[0]) - 5, float(fine.y[0]) + 5  # the file gives the centres of its pixels
    return Site(
        "romania", {SENTINEL2.name: series}, fine.spatial_ref.attrs["spatial_ref"], (10, 0, west, 0, -10, north)
    )


def split_sample(site: Site) -> tuple[Site, Site]:
    """Training and held-out parts, apart in space and in time: other ground, and a year that training never saw."""
    rows = slice(0, site.shape[0])
    start = min(int(series.time_ms[0]) for series in site.series.values())
    training = site.window(rows, TRAINING_COLUMNS).between(start, to_ms(HELDOUT_FROM))
    heldout = site.window(rows, HELDOUT_COLUMNS).between(to_ms(HELDOUT_FROM), to_ms(HELDOUT_UNTIL))
    return training, heldout


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
    there: Bool[np.ndarray, "N h w"] = pixels > 0
    values, weight = (
        zoom(array.astype(np.float32), (1, 2, 2), order=1, mode="nearest", grid_mode=True) for array in (pixels, there)
    )
    return np.where(weight > 0.5, values / np.maximum(weight, 0.5), 0).astype(np.float32)
