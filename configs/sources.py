"""The eleven sources of the paper (S1 and S2), one row each. To add a sensor, add a row.

The valid ranges are ours, but for Sentinel-1's decibels (paper, S1). They are as wide as what a product can show on
Earth, so that a value outside is a mistake: another unit, an offset that wrapped around, a fill value.
"""

from configs.source import Band, Metadata, Source


def _bands(names: str, unit: str, **options) -> tuple[Band, ...]:
    return tuple(Band(name, unit, **options) for name in names.split())


def _monthly(name: str, unit: str, statistics: str, valid_range: tuple[float, float]) -> tuple[Band, ...]:
    return tuple(Band(f"{name}_{statistic}", unit, valid_range=valid_range) for statistic in statistics.split())


SENTINEL2 = Source(
    "sentinel2",
    "continuous",
    bands=_bands("B2 B3 B4 B8 B11", "reflectance * 10000", scaling="log1p", valid_range=(0.0, 20_000.0)),
    is_input=True,
    shift_invariant_m=20,
    frame_budget=65,
    frame_drop=0.5,
)

LANDSAT = Source(
    "landsat",
    "continuous",
    bands=(
        *_bands("B2 B3 B4 B5 B6 B8", "reflectance", scaling="log1p", valid_range=(-0.2, 2.0)),
        Band("B10", "kelvin", valid_range=(150.0, 400.0)),
    ),
    is_input=True,
    regrid_m=30,
    frame_budget=21,
    source_drop=0.3,
    frame_drop=0.3,
)

SENTINEL1 = Source(
    "sentinel1",
    "continuous",
    bands=(
        *_bands("VV VH HH HV", "decibel", valid_range=(-30.0, 10.0)),
        Band("angle", "degrees", scaling="radians", valid_range=(15.0, 60.0)),
    ),
    is_input=True,
    shift_invariant_m=20,
    metadata=(Metadata("platform_heading", "angle"), Metadata("orbit_inclination", "angle")),
    frame_budget=17,
    source_drop=0.3,
    frame_drop=0.3,
    line_gaps=True,
)

PALSAR2 = Source(
    "palsar2",
    "continuous",
    bands=(
        *_bands("HH HV", "digital number", scaling="palsar_decibel", valid_range=(1.0, 65_535.0)),
        Band("LIN", "degrees", scaling="radians", valid_range=(0.0, 90.0)),
    ),
    regrid_m=30,
    metadata=(Metadata("pass_direction", "binary"), Metadata("antenna_pointing", "binary")),
)

ERA5_LAND = Source(
    "era5_land",
    "continuous",
    bands=(
        *_monthly("total_precipitation", "metres", "sum min max", (-0.001, 5.0)),
        *_monthly("temperature_2m", "kelvin", "mean min max", (180.0, 340.0)),
        *_monthly("dewpoint_temperature_2m", "kelvin", "mean min max", (150.0, 320.0)),
        *_monthly("surface_pressure", "pascal", "mean min max", (30_000.0, 110_000.0)),
    ),
)

GEDI = Source(
    "gedi",
    "continuous",
    bands=tuple(Band(f"rh{percentile}", "metres", valid_range=(-150.0, 150.0)) for percentile in range(101)),
    regrid_m=20,
)

GRACE = Source(
    "grace",
    "continuous",
    bands=_bands("lwe_thickness", "centimetres", valid_range=(-1000.0, 1000.0)),
    weight=0.5,
    regrid_m=1280,
)

GLO30 = Source(
    "glo30",
    "continuous",
    bands=(
        Band("elevation", "metres", valid_range=(-500.0, 9000.0)),
        Band("slope", "radians", valid_range=(0.0, 1.6)),
        *_bands("aspect_sine aspect_cosine", "1", valid_range=(-1.0, 1.0)),
    ),
    regrid_m=30,
    timed=False,
)

NLCD = Source("nlcd", "classes", bands=_bands("landcover", "class"), classes=16, weight=0.25, regrid_m=30)

CDL = Source(
    "cdl",
    "classes",
    bands=_bands("cropland", "class"),
    classes=256,  # ours: the class index is the product's 8-bit code, so no table is needed
    weight=0.25,
    regrid_m=30,
)

TEXT = Source("text", "text", bands=())

SOURCES = (SENTINEL2, LANDSAT, SENTINEL1, PALSAR2, ERA5_LAND, GEDI, GRACE, GLO30, NLCD, CDL, TEXT)
