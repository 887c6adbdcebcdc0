"""Simulate frames of Sentinel-2 and Landsat at the top of the atmosphere, as their products store them."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float32
from scipy.ndimage import maximum_filter

from aef_jax.data.store.site import Series
from aef_jax.data.synthetic.sensors.clouds import Clouds
from aef_jax.data.synthetic.sensors.sky import Sky, Track, View, draw_track
from aef_jax.data.synthetic.world.grid import inner, resample, resampling_matrix
from aef_jax.data.synthetic.world.noise import blend

KELVIN = 273.15
JITTER = 0.7
"""Largest misregistration of a Sentinel-2 frame along each axis, in pixels of 10 m."""


def sentinel2(rng: np.random.Generator, sky: Sky, side: int) -> Series:
    """Simulate Sentinel-2: a frame every 5 days, or two where two orbits overlap.

    Args:
        rng: random numbers.
        sky: over the site.
        side: pixels along each side of the site.

    Returns:
        Frames of uint16 reflectance * 10000; 0 is no data.
    """
    first, hour = int(rng.integers(5)), rng.uniform(10.3, 10.7)
    tracks = [draw_track(rng, sky, side, 5, hour, first, edged=0)]
    if rng.random() < 0.35:  # a swath ends within the site only if another one covers it
        tracks.append(draw_track(rng, sky, side, 5, hour + 0.2, first + int(rng.integers(2, 4)), edged=0.3))
    pixels, valid, times = [], [], []
    for time_ms, view, in_swath in _looks(rng, sky, tracks, side):
        down, right = rng.uniform(-JITTER, JITTER, 2)
        fine, coarse = ([resampling_matrix(side, cell, shift=shift) for shift in (down, right)] for cell in (1.0, 2.0))
        seen = np.concatenate([resample(view.reflectance[:4], *fine), resample(view.reflectance[4:], *coarse)])
        seen = _add_noise(rng, seen, 0.002)
        stored = np.rint(10_000 * seen).clip(1, 20_000) * in_swath
        pixels.append(np.moveaxis(stored, 0, -1).astype(np.uint16))
        valid.append(in_swath & _clear(rng, view.clouds, side, dilated=0))
        times.append(time_ms)
    return _series(pixels, valid, times, no_data=0)


def landsat(rng: np.random.Generator, sky: Sky, side: int) -> Series:
    """Simulate Landsat 8 and 9, each with a frame every 16 days.

    Pixels are of 30 m in bands B2 to B6, of 15 m in the panchromatic B8, and of 100 m in the thermal B10.

    Args:
        rng: random numbers.
        sky: over the site.
        side: pixels along each side of the site.

    Returns:
        Frames of float32 reflectance, and of kelvin in B10; NaN is no data.
    """
    track = draw_track(rng, sky, side, 8, rng.uniform(9.9, 10.3), int(rng.integers(8)), edged=0.1)
    phase = rng.uniform(0, 10, 2)
    common, pan, thermal = (
        [resampling_matrix(side, cell, phase=start % cell) for start in phase] for cell in (3.0, 1.5, 10.0)
    )
    pixels, valid, times = [], [], []
    for time_ms, view, in_swath in _looks(rng, sky, [track], side):
        bands = resample(view.reflectance, *common)
        sharp = resample(0.5 * view.reflectance[1] + 0.5 * view.reflectance[2], *pan)
        seen = _add_noise(rng, np.concatenate([bands, sharp[None]]), 0.001)
        heat = resample(_brightness_temperature(sky, view), *thermal)[None] + rng.normal(0, 0.3)
        frame = np.where(in_swath, np.concatenate([seen.clip(1e-4, 2), heat]), np.nan)
        pixels.append(np.moveaxis(frame, 0, -1).astype(np.float32))
        valid.append(in_swath & _clear(rng, view.clouds, side, dilated=7))
        times.append(time_ms)
    return _series(pixels, valid, times)


def _looks(
    rng: np.random.Generator, sky: Sky, tracks: list[Track], side: int
) -> Iterator[tuple[int, View, Bool[np.ndarray, "H W"]]]:
    """Yield time, view and covered pixels of every pass in daylight that sees the site, in the order of time."""
    scheduled = sorted((int(time_ms), i) for i, track in enumerate(tracks) for time_ms in track.times_ms)
    for time_ms, i in scheduled:
        edge, view = tracks[i].edge, sky.view(time_ms, tracks[i])
        in_swath = np.ones((side, side), bool) if edge is None else ~edge.beyond(rng, side)
        if view is not None and in_swath.any():
            yield time_ms, view, in_swath


def _add_noise(
    rng: np.random.Generator, seen: Float32[np.ndarray, "C H W"], floor: float
) -> Float32[np.ndarray, "C H W"]:
    """Add noise with a constant part and a part proportional to the light, and a calibration error for each scene."""
    noise = rng.standard_normal(seen.shape, np.float32)
    gain = np.float32(1 + rng.normal(0, 0.015))
    return gain * seen + noise * (np.float32(floor) + np.float32(0.01) * seen)


def _clear(rng: np.random.Generator, clouds: Clouds | None, side: int, dilated: int) -> Bool[np.ndarray, "H W"]:
    """Draw the pixels that the product's mask calls clear: it misses thin clouds, and thick ones grow by `dilated`."""
    if clouds is None:
        return np.ones((side, side), bool)
    thick = np.asarray(maximum_filter(clouds.opacity, dilated)) if dilated else clouds.opacity
    return ~inner((thick > rng.uniform(0.15, 0.35)) | (clouds.shadow > 0.5))


def _brightness_temperature(sky: Sky, view: View) -> Float32[np.ndarray, "h w"]:
    """Compute temperatures in kelvin. By day, bare and built ground is warmer than the air; clouds are cold."""
    surface, state = sky.surface, view.state
    terrain = surface.ground.terrain
    air = state.temperature + 2 - 0.0065 * (terrain.elevation - surface.climate.elevation)
    # dry ground without plants heats up in the sun; warm days stand for strong sun
    sunny = (1 - state.green) * (14 - 8 * state.moisture) * max(np.tanh((state.temperature + 8) / 20), 0)
    lake = 0.6 * max(state.temperature, 0) + 0.4 * max(surface.climate.temperature.mean(), 0)
    ground = blend(state.flooded * (1 - state.green), lake, air + sunny)
    ground = blend(state.snow, np.minimum(ground, 0), ground)
    if view.clouds is not None:
        ground = blend(view.clouds.opacity, state.temperature - 18, ground - 3 * view.clouds.shadow)
    return (0.97 * ground + KELVIN - 1).astype(np.float32)


def _series(pixels, valid, times, no_data: float | None = None) -> Series:
    """Stack the frames. There is at least one, because summers have daylight even within the polar circle."""
    metadata = np.zeros((len(times), 0), np.float32)
    return Series(np.stack(pixels), np.stack(valid)[..., None], np.array(times, np.int64), metadata, no_data)
