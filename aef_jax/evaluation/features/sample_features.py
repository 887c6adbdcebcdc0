"""Find the features that a text names, and sample them at labeled points."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.records import Split
from aef_jax.data.store.site import Period, to_ms
from aef_jax.evaluation.features.composites import composite, monthly_medians, period_median
from aef_jax.evaluation.features.field_features import sample_field
from aef_jax.evaluation.features.harmonics import harmonic_fits
from aef_jax.evaluation.features.random_convolutions import random_convolutions
from aef_jax.evaluation.features.site_features import sample_designed, sample_run
from aef_jax.evaluation.features.tables import SUFFIXES, sample_table
from aef_jax.evaluation.labels.labeled_points import LabeledPoints
from aef_jax.evaluation.splits import unit_sphere
from aef_jax.inference.readers.open_field import open_field
from aef_jax.run.steps import Which
from configs.serialization.printable import printable
from configs.validate import require

COORDINATES = "coordinates"
DESIGNED = {
    "composite": composite,
    "median": period_median,
    "harmonics": harmonic_fits,
    "monthly": monthly_medians,
    "random_convolutions": random_convolutions,
}
"""Designed features by the name that the command line has for them."""
KINDS = (*DESIGNED, COORDINATES)
_TABLE = re.compile(rf"(?P<path>.*({'|'.join(map(re.escape, SUFFIXES))}))(:(?P<selector>.*))?", re.IGNORECASE)


class Imagery(NamedTuple):
    """Where the frames for embeddings and designed features come from."""

    dataset: Path | None = None
    """Folder of a data set; None: a run's own."""
    splits: Collection[Split] = ("validation",)
    """Whose records are used."""
    checkpoint: Which = "latest"
    """Of runs."""


class FeatureSpec(NamedTuple):
    """What names features: `[NAME=]WHAT[@PERIOD]`."""

    name: str
    what: str
    """One of `KINDS`, the folder of a run, a table with its selector, or a field."""
    period: Period | None
    """In epoch milliseconds; None if it is not given."""


def parse_feature_spec(text: str) -> FeatureSpec:
    """Parse what names features.

    Args:
        text: `[NAME=]WHAT[@YEAR]` or `[NAME=]WHAT[@START..END]`, with dates in ISO 8601.

    Returns:
        The parts. The default name is the kind, or the name of the file or folder without its suffix.

    Raises:
        ValueError: the period is none.
    """
    match = re.fullmatch(r"((?P<name>[^=/:@]+)=)?(?P<what>[^@]+)(@(?P<period>[^@]+))?", text)
    if match is None:
        raise ValueError(f"features {printable(text)!r} are not [NAME=]WHAT[@PERIOD]")
    period, what = match["period"], match["what"]
    if period and re.fullmatch(r"\d{4}", period):
        period = f"{period}-01-01..{int(period) + 1:04d}-01-01"
    start, separator, end = (period or "").partition("..")
    require(not period or bool(separator), f"period {printable(start)!r} is none, expected @YEAR or @START..END")
    ends = (to_ms(start), to_ms(end)) if period else None
    require(
        ends is None or ends[0] < ends[1], f"period {printable(period or '')!r} is empty, expected START before END"
    )
    table = _TABLE.fullmatch(what)
    return FeatureSpec(match["name"] or Path(table["path"] if table else what).stem, what, ends)


def sample_features(spec: FeatureSpec, points: LabeledPoints, imagery: Imagery) -> Float32[np.ndarray, "N F"]:
    """Sample features at points.

    Args:
        spec: names them.
        points: the points.
        imagery: frames for embeddings and designed features.

    Returns:
        The features; NaN where there are none.

    Raises:
        ValueError: there are no such features, they cannot be read, or no point has any.
        ModuleNotFoundError: a package that this kind of file needs is not installed.
    """
    features = _sample(spec, points, imagery)
    require(
        bool(np.isfinite(features).all(axis=1).any()),
        f"features {printable(spec.name)}: all no data at the {len(features):,} points of {points.where}",
    )
    return features


def _sample(spec: FeatureSpec, points: LabeledPoints, imagery: Imagery) -> Float32[np.ndarray, "N F"]:
    path, table = Path(spec.what), _TABLE.fullmatch(spec.what)
    if spec.what == COORDINATES:
        return unit_sphere(points.lon, points.lat).astype(np.float32)
    if spec.what in DESIGNED:
        if imagery.dataset is None:
            raise ValueError(f"features {spec.what} are computed from imagery, expected a data set: give --data")
        dataset = Dataset.open(imagery.dataset)
        return sample_designed(DESIGNED[spec.what], dataset, imagery.splits, points, spec.period)
    if table:
        return sample_table(Path(table["path"]), table["selector"] or "", points)
    if (path / "config.json").is_file():
        dataset = Dataset.open(imagery.dataset) if imagery.dataset else None
        return sample_run(path, imagery.checkpoint, dataset, imagery.splits, points, spec.period)
    if not path.exists() and "://" not in spec.what:
        raise ValueError(
            f"there are no features {printable(spec.what)!r}: expected {', '.join(KINDS)}, or a file or run"
        )
    return sample_field(open_field(spec.what), spec.what, points, spec.period)
