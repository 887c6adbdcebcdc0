"""Scenes of Sentinel-1 and PALSAR-2, as their products store them."""

import numpy as np
from jaxtyping import Float32

from aef_jax.data.store.site import Series
from aef_jax.data.synthetic.sensors.backscatter import Backscatter
from aef_jax.data.synthetic.sensors.radar_geometry import Pass, draw_pass, speckle
from aef_jax.data.synthetic.world.grid import canvas, inner, resampled, resampling
from aef_jax.data.synthetic.world.orbits import Calendar
from aef_jax.data.synthetic.world.surface import Surface

JITTER = 1.0
"""Pixels of 10 m by which a Sentinel-1 scene is misregistered at most, along each axis."""
SENTINEL1_INCLINATION = 98.18
"""Degrees."""
ORBITS = ((True,), (False,), (True, False), (True, True, False), (False, True, False))
"""Which of the orbits that see a site ascend, as alternatives."""
POLARISATIONS = ("VV", "VH", "HH", "HV")
HORIZONTAL = 10**-0.06
"""Power of HH beside that of VV."""
POLAR = 65
"""Degrees of latitude beyond which Sentinel-1 sends horizontally polarised waves."""
FAINTEST = 1e-5
DN_OFFSET = 83
"""gamma0 = 10 log10(DN^2) - 83 dB, in PALSAR-2's products."""
MASKED_BEYOND = (12, 80)
"""Degrees of local incidence beyond which a slope folds over towards the radar, or lies in its own shadow."""


def sentinel1(rng: np.random.Generator, surface: Surface, calendar: Calendar, side: int) -> Series:
    """Every 6 or 12 days from each of one to three orbits; decibel and degrees, NaN where there is none.

    A scene has VV and VH, or VV alone; near the poles HH and HV, or HH alone.
    """
    place = surface.climate.latitude, surface.climate.longitude
    backscatter = Backscatter(rng, surface.ground, "C")
    pair = ("HH", "HV") if abs(place[0]) > POLAR else ("VV", "VH")
    alone = 1.0 if rng.random() < 0.04 else 0.06  # how often a scene has one polarisation
    every = 6 if rng.random() < 0.6 else 12
    tracks = [
        draw_pass(rng, calendar, place, side, up, every, hour=18.0 if up else 6.0, edged=0.15 if i else 0)
        for i, up in enumerate(ORBITS[rng.integers(len(ORBITS))])
    ]
    pixels, valid, times, metadata = [], [], [], []
    scheduled = sorted((int(time_ms), i) for i, track in enumerate(tracks) for time_ms in track.times_ms)
    for time_ms, i in scheduled:
        track = tracks[i]
        there = np.ones((side, side), bool) if track.edge is None else ~track.edge.beyond(rng, side)
        seen = pair[:1] if rng.random() < alone else pair
        if not there.any():
            continue
        frame = _scene(rng, surface, backscatter, track, calendar.day(time_ms), seen, side)
        pixels.append(np.where(there[..., None], frame, np.float32(np.nan)))
        valid.append(there)
        times.append(time_ms)
        metadata.append((track.heading, SENTINEL1_INCLINATION))
    return _series(pixels, valid, times, metadata)


def palsar2(rng: np.random.Generator, surface: Surface, calendar: Calendar, side: int) -> Series:
    """ScanSAR of 25 m, a few scenes a year; float32 of the digital numbers of HH and HV, and of the angle's degrees."""
    place = surface.climate.latitude, surface.climate.longitude
    backscatter = Backscatter(rng, surface.ground, "L")
    rows, columns = (resampling(side, 2.5, phase=start) for start in rng.uniform(0, 2.5, 2))
    up, left = bool(rng.random() < 0.5), bool(rng.random() < 0.1)
    track = draw_pass(rng, calendar, place, side, up, every=14, hour=0.2 if up else 12.2, edged=0, left=left)
    terrain = surface.ground.terrain
    local = np.rad2deg(np.arccos(inner(track.facing(terrain)).clip(-1, 1)))
    valid = (local > MASKED_BEYOND[0]) & (local < MASKED_BEYOND[1])
    times = np.sort(rng.choice(track.times_ms, rng.integers(3, 8), replace=False))
    pixels = []
    for time_ms in times:
        state, wind = surface.on(calendar.day(int(time_ms))), rng.normal(0, 3)
        frame = np.empty((side, side, 3), np.float32)
        for pol in range(2):
            power = backscatter.power(state, pol == 1, wind) * track.slant(terrain) * speckle(rng, canvas(side))
            amplitude = np.sqrt(resampled(power, rows, columns).clip(FAINTEST)) * 10 ** (DN_OFFSET / 20)
            frame[..., pol] = np.rint(amplitude).clip(1, 65_535)
        frame[..., 2] = track.incidence(side, rng.normal(0, 0.02))
        pixels.append(frame)
    facts = [(float(up), float(left))] * len(times)
    return _series(pixels, [valid] * len(times), times, facts)


def _scene(
    rng: np.random.Generator,
    surface: Surface,
    backscatter: Backscatter,
    track: Pass,
    day: int,
    seen: tuple[str, ...],
    side: int,
) -> Float32[np.ndarray, "H W 5"]:
    """One of Sentinel-1, over the whole site."""
    frame = np.full((side, side, 5), np.nan, np.float32)
    state, wind = surface.on(day), rng.normal(0, 3)
    rows, columns = (resampling(side, shift=shift) for shift in rng.uniform(-JITTER, JITTER, 2))
    slant = track.slant(surface.ground.terrain)
    for name in seen:
        power = backscatter.power(state, name in ("VH", "HV"), wind) * slant
        power = resampled(power, rows, columns) * speckle(rng, (side, side))
        power *= np.float32(HORIZONTAL if name == "HH" else 1)
        frame[..., POLARISATIONS.index(name)] = 10 * np.log10(power.clip(FAINTEST))
    frame[..., 4] = track.incidence(side, rng.normal(0, 0.02))
    return frame


def _series(pixels, valid, times, metadata) -> Series:
    return Series(
        np.stack(pixels), np.stack(valid)[..., None], np.array(times, np.int64), np.array(metadata, np.float32)
    )
