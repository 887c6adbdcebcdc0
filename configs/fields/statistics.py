"""Scaling and z-scores: from what a band stores to what the model sees, clipped at 6 sigma (paper, S1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Num

from configs.serialization.printable import require_printable
from configs.source import Band, Source

CLIP_SIGMA = 6.0
MAX_OUT_OF_RANGE = 0.01
"""Share of values out of their valid range, or beyond 6 sigma, above which it is told (ours). Radar has some."""
MAX_WRONG = 0.5
"""Share above which the values are taken to be of another unit, and are refused (ours)."""


def scale(band: Band, values: Float[np.ndarray, "*N"]) -> Float[np.ndarray, "*N"]:
    """Scale the values of one band.

    Args:
        band: names the scaling.
        values: in the band's stored unit.

    Returns:
        The scaled values; NaN where they have none (the logarithm of a negative number).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        match band.scaling:
            case "none":
                return values
            case "log1p":
                return np.log1p(values)
            case "radians":
                return np.deg2rad(values)
            case "palsar_decibel":
                return 10 * np.log10(values**2) - 83
    raise ValueError(f"band {band.name}: scaling is {band.scaling!r}, which nothing computes")


def has_data(pixels: Num[np.ndarray, "*N"], no_data: float | None) -> Bool[np.ndarray, "*N"]:
    """Find the pixels that hold a number.

    Args:
        pixels: as stored.
        no_data: the stored value that stands for no data, beside NaN; None if there is none.

    Returns:
        True where the number is finite and is not `no_data`.
    """
    finite = np.isfinite(pixels)
    return finite if no_data is None else finite & (pixels != no_data)


def bands_with_data(z: Float32[np.ndarray, "*N H W C"]) -> Bool[np.ndarray, "*N C"]:
    """Find the bands in which a frame holds data anywhere in a tile.

    Args:
        z: z-scored pixels of tiles, exactly 0 without data, as `BandStatistics.z_score_pixels` returns them.

    Returns:
        True where a pixel is not 0.
    """
    return np.any(np.any(z, axis=-3), axis=-2)  # ten times as fast as both axes at once


def scale_pixels(
    pixels: Num[np.ndarray, "*N C"], source: Source, no_data: float | None
) -> tuple[Float32[np.ndarray, "*N C"], Bool[np.ndarray, "*N C"]]:
    """Scale all bands of a source's frames.

    Args:
        pixels: as stored, in the units of the source's bands.
        source: its bands are the last axis.
        no_data: the stored value that stands for no data, beside NaN; None if there is none.

    Returns:
        The scaled pixels, NaN without data; and where they are finite and within the band's valid range.

    Raises:
        ValueError: the number of bands is not the source's.
    """
    if pixels.shape[-1] != source.channels:
        raise ValueError(
            f"source {source.name}: it has {pixels.shape[-1]} bands, expected the {source.channels}"
            f" {[band.name for band in source.bands]}"
        )
    values = np.where(has_data(pixels, no_data), pixels, np.float32(np.nan)).astype(np.float32, copy=False)
    low, high = np.transpose([band.valid_range or (-np.inf, np.inf) for band in source.bands]).astype(np.float32)
    valid = (values >= low) & (values <= high)  # NaN is in no range
    for index, band in enumerate(source.bands):
        if band.scaling != "none":
            values[..., index] = scale(band, values[..., index])
    return values, valid & np.isfinite(values)


@dataclass(frozen=True)
class BandStatistics:
    """Mean and standard deviation of every band of every source, after scaling, over valid training pixels.

    Both are NaN for a band that training never saw, such as a polarization that no scene had: all its pixels count as
    no data.
    """

    mean: dict[str, Float64[np.ndarray, "C"]]
    deviation: dict[str, Float64[np.ndarray, "C"]]

    def known(self, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        """Select the sources that have statistics: training saw no other.

        Args:
            sources: rows of the table of sources.

        Returns:
            Those with a mean and a deviation, in the same order.
        """
        return tuple(source for source in sources if source.name in self.mean)

    def z_score_pixels(
        self, pixels: Num[np.ndarray, "*N C"], source: Source, no_data: float | None = None
    ) -> tuple[Float32[np.ndarray, "*N C"], Bool[np.ndarray, "*N C"]]:
        """Scale, z-score and clip the frames of a continuous source.

        Args:
            pixels: as stored, in the units of the source's bands.
            source: its bands are the last axis.
            no_data: the stored value that stands for no data, beside NaN; None if there is none.

        Returns:
            z-scores within +-6; and where they are valid observations. A score is exactly 0, the mean, if and only if
            its pixel holds no data.

        Raises:
            ValueError: there are no statistics of the source, or they have another number of bands.
        """
        if source.name not in self.mean:
            raise ValueError(f"source {source.name}: no normalization statistics; the training data held none of it")
        for numbers in (self.mean[source.name], self.deviation[source.name]):
            if numbers.shape != (source.channels,):
                raise ValueError(
                    f"source {source.name}: normalization statistics have shape {numbers.shape},"
                    f" expected one for each of its {source.channels} bands"
                )
        z, valid = scale_pixels(pixels, source, no_data)
        z -= self.mean[source.name].astype(np.float32)
        z /= self.deviation[source.name].astype(np.float32)
        finite = np.isfinite(z)
        z.clip(-CLIP_SIGMA, CLIP_SIGMA, out=z)
        np.copyto(z, np.finfo(np.float32).tiny, where=z == 0)  # data at the mean: 0 is for no data
        np.copyto(z, 0, where=~finite)
        return z, valid & finite

    def as_table(self) -> dict[str, dict[str, list[float | None]]]:
        """Convert to JSON's types.

        Returns:
            {source: {"mean": [...], "deviation": [...]}}, null where there is no number.
        """
        return {n: {"mean": _listed(self.mean[n]), "deviation": _listed(self.deviation[n])} for n in self.mean}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Convert what `as_table` gave back.

        Args:
            table: out of JSON, not to be trusted.

        Returns:
            The statistics.

        Raises:
            ValueError: a mean and its deviation differ in shape, are infinite, or a deviation is not above 0.
            TypeError, KeyError, AttributeError: the table has another form.
        """
        mean = {require_printable("source", name): _numbers(row["mean"]) for name, row in table.items()}
        deviation = {name: _numbers(row["deviation"]) for name, row in table.items()}
        for name in mean:
            if mean[name].shape != deviation[name].shape or np.isinf([mean[name], deviation[name]]).any():
                raise ValueError(f"source {name}: means and deviations are not numbers of the same bands")
            if (deviation[name] <= 0).any():
                raise ValueError(f"source {name}: deviations are {deviation[name].tolist()}, expected all above 0")
        return cls(mean, deviation)


def _numbers(values: Any) -> Float64[np.ndarray, "C"]:
    """Convert a list of JSON. Raises TypeError if it holds other than numbers and None: NumPy takes "1" and True."""
    if not isinstance(values, list) or not all(value is None or type(value) in (int, float) for value in values):
        raise TypeError("means and deviations are not lists of numbers")
    return np.array(values, np.float64)


def _listed(numbers: Float64[np.ndarray, "C"]) -> list[float | None]:
    return [None if np.isnan(number) else float(number) for number in numbers]
