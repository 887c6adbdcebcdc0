"""From what a band stores to what the model sees: its scaling, then a z-score clipped at 6 sigma (paper, S1)."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float64

from aef_jax.atomic import replacing
from aef_jax.data.site import Series, Site
from configs.source import Band, Source

CLIP_SIGMA = 6.0


def scale(band: Band, values: Float[np.ndarray, "*N"]) -> Float[np.ndarray, "*N"]:
    """The band's values after its scaling; NaN where they have none (the logarithm of a negative number)."""
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


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of every band of every source, after scaling, over valid training pixels.

    NaN for a band that training never saw, such as a polarisation that no scene had: then it is no data anywhere.
    """

    mean: dict[str, Float64[np.ndarray, "C"]]
    deviation: dict[str, Float64[np.ndarray, "C"]]

    @classmethod
    def of(cls, site: Site, sources: tuple[Source, ...]) -> "Normalisation":
        """Statistics of the continuous sources that `site` holds. Raises ValueError where one has no valid pixel."""
        mean, deviation = {}, {}
        for source in sources:
            if source.kind != "continuous" or source.name not in site.series:
                continue
            scaled, valid = _scaled(site.series[source.name], source)
            if not valid.any():
                raise ValueError(f"source {source.name}: no valid pixel in site {site.name}")
            seen = [scaled[..., band][valid[..., band]].astype(np.float64) for band in range(source.channels)]
            mean[source.name] = np.array([values.mean() if len(values) else np.nan for values in seen])
            deviation[source.name] = np.array([max(values.std(), 1e-6) if len(values) else np.nan for values in seen])
        return cls(mean, deviation)

    def apply(self, site: Site, sources: tuple[Source, ...]) -> Site:
        """The site scaled and z-scored; what holds no number becomes 0, the mean, and is not valid."""
        series = {s.name: self._z_score(site.series[s.name], s) for s in sources if s.name in site.series}
        return Site(site.name, series, site.crs, site.transform)

    def _z_score(self, series: Series, source: Source) -> Series:
        if source.kind != "continuous":
            there = np.isfinite(series.pixels)
            return replace(series, pixels=np.where(there, series.pixels, 0), valid=series.valid & there)
        if source.name not in self.mean:
            raise ValueError(f"source {source.name}: no normalisation statistics; the training data held none of it")
        for numbers in (self.mean[source.name], self.deviation[source.name]):
            if numbers.shape != (source.channels,):
                raise ValueError(
                    f"source {source.name}: normalisation statistics have shape {numbers.shape},"
                    f" expected one for each of its {source.channels} bands"
                )
        scaled, valid = _scaled(series, source)
        z = (scaled - self.mean[source.name]) / self.deviation[source.name]
        there = np.isfinite(z)
        pixels = np.where(there, z.clip(-CLIP_SIGMA, CLIP_SIGMA), 0).astype(np.float32)
        return replace(series, pixels=pixels, valid=valid & there)

    def save(self, path: Path) -> None:
        """Writes JSON: {source: {"mean": [...], "deviation": [...]}}, null where there is no number."""
        table = {
            name: {"mean": _listed(self.mean[name]), "deviation": _listed(self.deviation[name])} for name in self.mean
        }
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(table, indent=2))

    @classmethod
    def load(cls, path: Path) -> "Normalisation":
        """Reads what `save` wrote. Raises ValueError, naming the file, where it is something else."""
        try:
            table = json.loads(path.read_text())
            mean = {name: np.asarray(row["mean"], np.float64) for name, row in table.items()}
            return cls(mean, {name: np.asarray(row["deviation"], np.float64) for name, row in table.items()})
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path}: not the normalisation of a run ({error})") from None


def _listed(numbers: Float64[np.ndarray, "C"]) -> list[float | None]:
    return [None if np.isnan(number) else float(number) for number in numbers]


def _scaled(series: Series, source: Source) -> tuple[Float[np.ndarray, "N H W C"], Bool[np.ndarray, "N H W C"]]:
    """Scaled pixels, and where they are valid observations: marked so, a number, and within the band's range."""
    scaled = np.stack([scale(band, series.pixels[..., i]) for i, band in enumerate(source.bands)], axis=-1)
    low, high = np.transpose([band.valid_range or (-np.inf, np.inf) for band in source.bands])
    return scaled, series.valid & np.isfinite(scaled) & (scaled >= low) & (scaled <= high)
