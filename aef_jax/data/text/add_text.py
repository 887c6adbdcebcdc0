"""`aef data add-text`: sentences about places, stored in the records as vectors: training runs no language model."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from tqdm import tqdm

from aef_jax.data.store.dataset import SPLITS, Dataset, Split
from aef_jax.data.store.rewrite import rewrite
from aef_jax.data.store.site import Site, TextPoints
from aef_jax.data.text.sentences import embed, model_name
from aef_jax.data.text.table import TextTable, read_table

SAME = 1e-3
"""Relative distance below which two vectors are of one sentence: their last digits depend on what was in the batch."""


class Added(NamedTuple):
    """What came of a table of texts."""

    points: int
    """SourceSummary text points that were not there before; a text that lies in two records makes two."""
    records: int
    """Records that they lie in."""
    outside: int
    """Texts of the table that lie in no record."""


class Places(NamedTuple):
    """Where some of a table's texts lie in one record."""

    text: Int64[np.ndarray, "n"]
    """Which ones."""
    row: Int64[np.ndarray, "n"]
    column: Int64[np.ndarray, "n"]


class Projected:
    """The points of a table in the coordinates of any grid; each system is computed once."""

    def __init__(self, table: TextTable):
        self.table = table
        self.known: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def on(self, site: Site) -> Places:
        """The texts whose point lies in the site's grid, and which are true of some of its support period.

        A pixel holds its upper and its left edge. Raises ValueError, naming the site, where its grid is none.
        """
        a, b, c, d, e, f = site.transform
        determinant = a * e - b * d
        if not determinant:
            raise ValueError(f"site {site.name}: its transform {site.transform} has no area")
        x, y = self._coordinates(site)
        with np.errstate(invalid="ignore"):  # a point that the projection does not reach is at infinity
            # to 10 micrometres: a point on an edge, come back from degrees, is off by less
            column = np.floor(np.round((e * (x - c) - b * (y - f)) / determinant, 6))
            row = np.floor(np.round((a * (y - f) - d * (x - c)) / determinant, 6))
        height, width = site.shape
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width) & self._overlaps(site)
        return Places(np.flatnonzero(inside), row[inside].astype(np.int64), column[inside].astype(np.int64))

    def _coordinates(self, site: Site) -> tuple[Float64[np.ndarray, "N"], Float64[np.ndarray, "N"]]:
        try:
            from pyproj import Transformer
            from pyproj.exceptions import ProjError
        except ModuleNotFoundError:
            raise ModuleNotFoundError("texts are placed by the package pyproj: install aef[text]") from None
        if site.crs not in self.known:
            try:
                transformer = Transformer.from_crs("EPSG:4326", site.crs, always_xy=True)
            except ProjError:
                raise ValueError(f"site {site.name}: its crs {site.crs!r} is none that pyproj knows") from None
            self.known[site.crs] = transformer.transform(self.table.lon, self.table.lat)
        return self.known[site.crs]

    def _overlaps(self, site: Site) -> Bool[np.ndarray, "N"]:
        if site.support:
            first, end = site.support
        else:
            times = np.concatenate([series.time_ms for series in site.series.values()])
            if not len(times):
                raise ValueError(f"site {site.name}: it has neither a support period nor a frame")
            first, end = times.min(), times.max() + 1
        return (self.table.period_ms[:, 0] < end) & (self.table.period_ms[:, 1] > first)


def add_text(folder: Path, table: Path, model: str) -> Added:
    """Embeds the texts of a table, and stores them in every record that they lie in; those that are there, once.

    Memory holds the table, its vectors and one record. Raises ValueError where the table has a mistake, or the data
    set's texts were embedded by another model: then nothing is written.
    """
    dataset, texts, name = Dataset.open(folder), read_table(table), model_name(model)
    if dataset.text_points and dataset.text_model != name:
        raise ValueError(
            f"{folder}: its texts were embedded by the model {dataset.text_model!r}, so {name!r} cannot be mixed in"
        )
    places = _find_places(dataset, texts)
    used = np.unique(np.concatenate([place.text for place in places.values()] or [np.zeros(0, np.int64)]))
    outside = len(texts) - len(used)
    if not len(used):
        return Added(0, 0, outside)
    vectors = _embed_each_once(texts, used, model)
    width = vectors.shape[1]
    if dataset.text_points and dataset.text_width != width:
        raise ValueError(f"{folder}: its texts have vectors of {dataset.text_width} numbers, {name!r} gives {width}")
    added = {}

    def change(split: Split, index: int, site: Site) -> Site:
        if (split, index) not in places:
            return site
        text = merged(site.text, _points(texts, places[split, index], vectors))
        added[split, index] = len(text) - len(site.text)
        return replace(site, text=text)

    rewrite(dataset, change, width, name)
    return Added(sum(added.values()), sum(count > 0 for count in added.values()), outside)


def merged(old: TextPoints, new: TextPoints) -> TextPoints:
    """Old points, and those of the new ones that say something else: another pixel, period or sentence."""
    if not len(old):
        old = TextPoints.none(new.sentence.shape[1])
    known: dict[tuple[int, ...], list[np.ndarray]] = {}
    for key, sentence in zip(_keys(old), old.sentence, strict=True):
        known.setdefault(key, []).append(sentence)
    fresh = np.zeros(len(new), bool)
    for index, (key, sentence) in enumerate(zip(_keys(new), new.sentence, strict=True)):
        said = known.setdefault(key, [])
        fresh[index] = not any(np.linalg.norm(sentence - one) <= SAME * np.linalg.norm(one) for one in said)
        said.append(sentence)
    new = new.select_points(fresh)
    return TextPoints(
        np.concatenate([old.row, new.row]),
        np.concatenate([old.column, new.column]),
        np.concatenate([old.period_ms, new.period_ms]),
        np.concatenate([old.sentence, new.sentence]),
        (old.words or ("",) * len(old)) + new.words,
    )


def _keys(text: TextPoints) -> list[tuple[int, ...]]:
    return list(zip(text.row.tolist(), text.column.tolist(), *text.period_ms.T.tolist(), strict=True))


def _find_places(dataset: Dataset, texts: TextTable) -> dict[tuple[Split, int], Places]:
    """By split and index, of the records that hold any."""
    projected, places = Projected(texts), {}
    for split in SPLITS:
        records = dataset.records(split)
        for index in tqdm(range(len(records)), f"places, {split}", unit="record"):
            found = projected.on(records[index])
            if len(found.text):
                places[split, index] = found
    return places


def _embed_each_once(texts: TextTable, used: Int64[np.ndarray, "n"], model: str) -> Float32[np.ndarray, "N E"]:
    """Vectors of the texts `used`, at their place in the table; the others are left 0."""
    sentences, which = np.unique(np.array([texts.text[i] for i in used], object), return_inverse=True)
    embedded = embed(list(sentences), model)
    vectors = np.zeros((len(texts), embedded.shape[1]), np.float32)
    vectors[used] = embedded[which]
    return vectors


def _points(texts: TextTable, places: Places, vectors: Float32[np.ndarray, "N E"]) -> TextPoints:
    words = tuple(texts.text[i] for i in places.text)
    return TextPoints(places.row, places.column, texts.period_ms[places.text], vectors[places.text], words)
