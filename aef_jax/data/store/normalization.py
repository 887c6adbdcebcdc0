"""From what a band stores to what the model sees: its scaling, then a z-score clipped at 6 sigma (paper, S1)."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from aef_jax.data.store.site import Series, Site
from aef_jax.files.atomic import replacing
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
class Normalization:
    """Mean and standard deviation of every band of every source, after scaling, over valid training pixels.

    NaN for a band that training never saw, such as a polarisation that no scene had: then it is no data anywhere.
    """

    mean: dict[str, Float64[np.ndarray, "C"]]
    deviation: dict[str, Float64[np.ndarray, "C"]]

    def known(self, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        """Those of continuous sources that training saw: no other can be z-scored, or was learned from."""
        return tuple(source for source in sources if source.name in self.mean)

    def apply(self, site: Site, sources: tuple[Source, ...]) -> Site:
        """The site scaled and z-scored, with the sources that it has of `sources`."""
        return replace(
            site, series={s.name: self.z_score(site.series[s.name], s) for s in sources if s.name in site.series}
        )

    def z_score(self, series: Series, source: Source) -> Series:
        """Scaled and z-scored frames in float32; what holds no number becomes 0, the mean, and is not valid.

        A class index stays what it is, and is valid where there is such a class.
        """
        if source.kind == "classes":
            valid = series.valid & there(series) & (series.pixels >= 0) & (series.pixels < source.classes)
            return replace(series, pixels=np.where(valid, series.pixels, 0), valid=valid, no_data=None)
        if source.name not in self.mean:
            raise ValueError(f"source {source.name}: no normalisation statistics; the training data held none of it")
        for numbers in (self.mean[source.name], self.deviation[source.name]):
            if numbers.shape != (source.channels,):
                raise ValueError(
                    f"source {source.name}: normalisation statistics have shape {numbers.shape},"
                    f" expected one for each of its {source.channels} bands"
                )
        z, valid = scaled(series, source)
        z -= self.mean[source.name].astype(np.float32)
        z /= self.deviation[source.name].astype(np.float32)
        finite = np.isfinite(z)
        z.clip(-CLIP_SIGMA, CLIP_SIGMA, out=z)
        np.copyto(z, 0, where=~finite)
        return replace(series, pixels=z, valid=valid & finite, no_data=None)

    def as_table(self) -> dict[str, dict[str, list[float | None]]]:
        """For JSON: {source: {"mean": [...], "deviation": [...]}}, null where there is no number."""
        return {n: {"mean": _listed(self.mean[n]), "deviation": _listed(self.deviation[n])} for n in self.mean}

    @classmethod
    def from_table(cls, table) -> "Normalization":
        """What `as_table` gave. Raises TypeError, KeyError, ValueError or AttributeError where it is something else."""
        mean = {name: np.asarray(row["mean"], np.float64) for name, row in table.items()}
        deviation = {name: np.asarray(row["deviation"], np.float64) for name, row in table.items()}
        for name in mean:
            if mean[name].shape != deviation[name].shape or np.isinf([mean[name], deviation[name]]).any():
                raise ValueError(f"source {name}: means and deviations are not numbers of the same bands")
            if (deviation[name] <= 0).any():
                raise ValueError(f"source {name}: deviations are {deviation[name].tolist()}, expected all above 0")
        return cls(mean, deviation)

    def save(self, path: Path) -> None:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self.as_table(), indent=2))

    @classmethod
    def load(cls, path: Path) -> "Normalization":
        """Reads what `save` wrote. Raises ValueError, naming the file, where it is something else."""
        try:
            return cls.from_table(json.loads(path.read_text()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path}: not the normalisation of a run ({error})") from None


def _listed(numbers: Float64[np.ndarray, "C"]) -> list[float | None]:
    return [None if np.isnan(number) else float(number) for number in numbers]


def there(series: Series) -> Bool[np.ndarray, "N H W C"]:
    """Where the pixels hold data at all: a number that is not the source's `no_data`."""
    if series.no_data is None:
        return np.isfinite(series.pixels)
    return np.isfinite(series.pixels) & (series.pixels != series.no_data)


def scaled(series: Series, source: Source) -> tuple[Float32[np.ndarray, "N H W C"], Bool[np.ndarray, "N H W C"]]:
    """Scaled pixels, NaN without data; and where they are valid observations: marked so, and within the band's range.

    Raises ValueError where the series has another number of bands than the source.
    """
    if series.pixels.shape[-1] != source.channels:
        raise ValueError(
            f"source {source.name}: it has {series.pixels.shape[-1]} bands, expected the {source.channels}"
            f" {[band.name for band in source.bands]}"
        )
    values = np.where(there(series), series.pixels, np.float32(np.nan)).astype(np.float32, copy=False)
    for index, band in enumerate(source.bands):
        if band.scaling != "none":
            values[..., index] = scale(band, values[..., index])
    valid = series.valid & np.isfinite(values)
    if any(band.valid_range for band in source.bands):
        low, high = np.transpose([band.valid_range or (-np.inf, np.inf) for band in source.bands])
        with np.errstate(invalid="ignore"):
            valid &= (values >= low.astype(np.float32)) & (values <= high.astype(np.float32))
    return values, valid
