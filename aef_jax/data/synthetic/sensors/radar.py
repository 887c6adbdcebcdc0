"""Simulate scenes of Sentinel-1 and PALSAR-2, as their products store them."""

import numpy as np
from jaxtyping import Float32

from aef_jax.data.store.site import Series
from aef_jax.data.synthetic.sensors.backscatter import Backscatter
from aef_jax.data.synthetic.sensors.radar_geometry import Pass, draw_pass, speckle
from aef_jax.data.synthetic.world.grid import canvas, inner, resample, resampling_matrix
from aef_jax.data.synthetic.world.orbits import Calendar
from aef_jax.data.synthetic.world.surface import Surface

JITTER = 1.0
"""Largest misregistration of a Sentinel-1 scene along each axis, in pixels of 10 m."""
SENTINEL1_INCLINATION = 98.18
"""Degrees."""
ORBITS = ((True,), (False,), (True, False), (True, True, False), (False, True, False))
"""Alternatives for the orbits that see a site: whether each of them is ascending."""
POLARIZATIONS = ("VV", "VH", "HH", "HV")
HH_FACTOR = 10**-0.06
"""Power of HH relative to VV."""
POLAR_LATITUDE = 65
"""Latitude in degrees beyond which Sentinel-1 sends horizontally polarized waves."""
FAINTEST = 1e-5
DN_OFFSET = 83
"""gamma0 = 10 log10(DN^2) - 83 dB, in PALSAR-2's products."""
LOCAL_INCIDENCE = (12, 80)
"""Range in degrees of valid local incidence. Slopes below it fold over towards the radar (layover); slopes above it
are in radar shadow."""


def sentinel1(rng: np.random.Generator, surface: Surface, calendar: Calendar, side: int) -> Series:
    """Simulate Sentinel-1: a scene every 6 or 12 days from each of one to three orbits.

    A scene has VV and VH, or VV alone. Near the poles it has HH and HV, or HH alone.

    Args:
        rng: random numbers.
        surface: of the site.
        calendar: of the year.
        side: pixels along each side of the site.

    Returns:
        Scenes in decibels, and the incidence angle in degrees; NaN is no data.
    """
    location = surface.climate.latitude, surface.climate.longitude
    backscatter = Backscatter(rng, surface.ground, "C")
    pair = ("HH", "HV") if abs(location[0]) > POLAR_LATITUDE else ("VV", "VH")
    single = 1.0 if rng.random() < 0.04 else 0.06  # probability that a scene has one polarization
    every = 6 if rng.random() < 0.6 else 12
    tracks = [
        draw_pass(rng, calendar, location, side, up, every, hour=18.0 if up else 6.0, edged=0.15 if i else 0)
        for i, up in enumerate(ORBITS[rng.integers(len(ORBITS))])
    ]
    pixels, valid, times, metadata = [], [], [], []
    scheduled = sorted((int(time_ms), i) for i, track in enumerate(tracks) for time_ms in track.times_ms)
    for time_ms, i in scheduled:
        track = tracks[i]
        in_swath = np.ones((side, side), bool) if track.edge is None else ~track.edge.beyond(rng, side)
        channels = pair[:1] if rng.random() < single else pair
        if not in_swath.any():
            continue
        frame = _scene(rng, surface, backscatter, track, calendar.day(time_ms), channels, side)
        pixels.append(np.where(in_swath[..., None], frame, np.float32(np.nan)))
        valid.append(in_swath)
        times.append(time_ms)
        metadata.append((track.heading, SENTINEL1_INCLINATION))
    return _series(pixels, valid, times, metadata)


def palsar2(rng: np.random.Generator, surface: Surface, calendar: Calendar, side: int) -> Series:
    """Simulate PALSAR-2: a few ScanSAR scenes of 25 m per year.

    Args:
        rng: random numbers.
        surface: of the site.
        calendar: of the year.
        side: pixels along each side of the site.

    Returns:
        Scenes of float32 digital numbers of HH and HV, and the incidence angle in degrees.
    """
    location = surface.climate.latitude, surface.climate.longitude
    backscatter = Backscatter(rng, surface.ground, "L")
    rows, columns = (resampling_matrix(side, 2.5, phase=start) for start in rng.uniform(0, 2.5, 2))
    up, left = bool(rng.random() < 0.5), bool(rng.random() < 0.1)
    track = draw_pass(rng, calendar, location, side, up, every=14, hour=0.2 if up else 12.2, edged=0, left=left)
    terrain = surface.ground.terrain
    local = np.rad2deg(np.arccos(inner(track.facing(terrain)).clip(-1, 1)))
    valid = (local > LOCAL_INCIDENCE[0]) & (local < LOCAL_INCIDENCE[1])
    times = np.sort(rng.choice(track.times_ms, rng.integers(3, 8), replace=False))
    pixels = []
    for time_ms in times:
        state, wind = surface.on(calendar.day(int(time_ms))), rng.normal(0, 3)
        frame = np.empty((side, side, 3), np.float32)
        for pol in range(2):
            power = backscatter.power(state, pol == 1, wind) * track.slant(terrain) * speckle(rng, canvas(side))
            amplitude = np.sqrt(resample(power, rows, columns).clip(FAINTEST)) * 10 ** (DN_OFFSET / 20)
            frame[..., pol] = np.rint(amplitude).clip(1, 65_535)
        frame[..., 2] = track.incidence(side, rng.normal(0, 0.02))
        pixels.append(frame)
    metadata = [(float(up), float(left))] * len(times)
    return _series(pixels, [valid] * len(times), times, metadata)


def _scene(
    rng: np.random.Generator,
    surface: Surface,
    backscatter: Backscatter,
    track: Pass,
    day: int,
    channels: tuple[str, ...],
    side: int,
) -> Float32[np.ndarray, "H W 5"]:
    """Simulate one Sentinel-1 scene over the whole site."""
    frame = np.full((side, side, 5), np.nan, np.float32)
    state, wind = surface.on(day), rng.normal(0, 3)
    rows, columns = (resampling_matrix(side, shift=shift) for shift in rng.uniform(-JITTER, JITTER, 2))
    slant = track.slant(surface.ground.terrain)
    for name in channels:
        power = backscatter.power(state, name in ("VH", "HV"), wind) * slant
        power = resample(power, rows, columns) * speckle(rng, (side, side))
        power *= np.float32(HH_FACTOR if name == "HH" else 1)
        frame[..., POLARIZATIONS.index(name)] = 10 * np.log10(power.clip(FAINTEST))
    frame[..., 4] = track.incidence(side, rng.normal(0, 0.02))
    return frame


def _series(pixels, valid, times, metadata) -> Series:
    return Series(
        np.stack(pixels), np.stack(valid)[..., None], np.array(times, np.int64), np.array(metadata, np.float32)
    )
