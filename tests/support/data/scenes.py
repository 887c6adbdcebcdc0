"""The same Sentinel-2 scenes as GeoTIFF, NetCDF and Zarr: four dates of 64 x 64 pixels of 10 m."""

from pathlib import Path

import numpy as np
import pystac
import rasterio
import xarray

from tests.support.data.stac import write_item

CRS = "EPSG:32631"
WEST, NORTH, SIDE = 500_000, 5_600_000, 64
CORNER = CRS, WEST, NORTH
DATES = np.array(["2023-03-01T10:30", "2023-05-01T10:30", "2023-07-01T10:30", "2023-09-01T10:30"], "datetime64[ms]")
BANDS = ("B02", "B03", "B04", "B08", "B11")
CLOUD = np.s_[:10, :20]
"""What SCL marks as cloud in the second scene."""
CENTERS = "lon,lat\n3.002258,50.550494\n3.006774,50.550494\n3.002258,50.547616\n3.006774,50.547616\n"
"""Points of the centers of four sites of 32 x 32 pixels that cover the scenes."""
CONFIG = """
support = ["2023-01-01", "2024-01-01"]
[sites]
side = 32
extent_of = "sentinel2"
validation = 0.25
min_distance_m = 0
[[source]]
name = "sentinel2"
files = [{files}]
unit = "{unit}"
mask = "SCL"
"""


def scenes() -> np.ndarray:
    """Return reflectance * 10000, of dates, bands, rows and columns; 0 is no data."""
    values = np.random.default_rng(0).integers(100, 6000, (len(DATES), len(BANDS), SIDE, SIDE)).astype(np.uint16)
    values[0, :, -5:] = 0
    return values


def classes() -> np.ndarray:
    """Return the scene classification: vegetation, and clouds in the second scene."""
    scl = np.full((len(DATES), SIDE, SIDE), 4, np.uint8)
    scl[1][CLOUD] = 9
    return scl


def write_tiffs(
    folder: Path,
    values: np.ndarray | None = None,
    dtype: str = "uint16",
    second: int = 0,
    scl: np.ndarray | None = None,
) -> str:
    """Write a file per date and one per date for SCL, at a second of its minute; return the pattern."""
    folder.mkdir(parents=True)
    profile = {"driver": "GTiff", "height": SIDE, "width": SIDE, "crs": CRS}
    profile |= {"transform": rasterio.Affine(10, 0, WEST, 0, -10, NORTH)}
    values, scl = scenes() if values is None else values, classes() if scl is None else scl
    for date, bands, of_date in zip(DATES, values, scl, strict=True):
        stamp = str(date)[:16].replace("-", "").replace(":", "") + f"{second:02d}"
        with rasterio.open(folder / f"s2_{stamp}.tif", "w", **profile, count=len(BANDS), dtype=dtype, nodata=0) as file:
            file.write(bands.astype(dtype))
            file.descriptions = BANDS
        with rasterio.open(folder / f"s2_{stamp}_SCL.tif", "w", **profile, count=1, dtype="uint8") as file:
            file.write(of_date[None])
    return f'"{folder.name}/*.tif"'


def cube() -> xarray.Dataset:
    """Return the scenes as a cube, y up and with dimensions in another order than usual."""
    centers = np.arange(SIDE) * 10 + 5
    coordinates = {"time": DATES.astype("datetime64[ns]"), "y": (NORTH - centers)[::-1], "x": WEST + centers}
    dims = ("y", "time", "x")
    data = {name: (dims, scenes()[:, i, ::-1].swapaxes(0, 1)) for i, name in enumerate(BANDS)}
    dataset = xarray.Dataset({**data, "SCL": (dims, classes()[:, ::-1].swapaxes(0, 1))}, coordinates)
    for name in BANDS:
        dataset[name].encoding["_FillValue"] = 0
    dataset["spatial_ref"] = ((), 0, {"crs_wkt": rasterio.CRS.from_user_input(CRS).to_wkt()})
    return dataset


def stac_items(folder: Path) -> list[pystac.Item]:
    """Write a COG for each band of each scene; return their STAC items."""
    return [
        write_item(folder, f"s2-{index}", str(date), dict(zip((*BANDS, "SCL"), (*bands, scl), strict=True)), CORNER)
        for index, (date, bands, scl) in enumerate(zip(DATES, scenes(), classes(), strict=True))
    ]


def write_band_files(folder: Path) -> None:
    """Write a COG for each band: of the scenes into `s2`, and of backscatter on other days into `s1`."""
    power = np.random.default_rng(1).uniform(0.01, 0.2, (len(DATES), 2, SIDE, SIDE)).astype(np.float32)
    layers = np.concatenate([scenes(), classes()[:, None]], axis=1)
    optical = dict(zip((*BANDS, "SCL"), layers.swapaxes(0, 1), strict=True))
    radar = dict(zip(("vv", "vh"), power.swapaxes(0, 1), strict=True))
    for sensor, tile, days, bands in (("s2", "T31UES_", 0, optical), ("s1", "", 2, radar)):
        (folder / sensor).mkdir()
        for name, series in bands.items():
            for date, values in zip(DATES + np.timedelta64(days, "D"), series, strict=True):
                stamp = str(date)[:19].replace("-", "").replace(":", "")
                profile = {
                    "driver": "COG",
                    "height": SIDE,
                    "width": SIDE,
                    "count": 1,
                    "dtype": values.dtype,
                    "crs": CRS,
                }
                profile |= {"transform": rasterio.Affine(10, 0, WEST, 0, -10, NORTH), "nodata": 0}
                with rasterio.open(folder / sensor / f"{tile}{stamp}_{name}.tif", "w", **profile) as file:
                    file.write(values, 1)
