"""`aef data add-text`: store sentences about places as vectors, so that training runs no language model."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from tqdm import tqdm

from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.records import SPLITS, Split
from aef_jax.data.store.site import Site, TextPoints
from aef_jax.data.text.rewrite import rewrite
from aef_jax.data.text.sentences import embed, model_name
from aef_jax.data.text.table import TextTable, read_table

SAME_SENTENCE = 1e-3
"""Relative distance below which two vectors belong to the same sentence. Their last digits depend on the other
sentences of the batch."""


class AddedText(NamedTuple):
    """Counts of what was added from a table."""

    points: int
    """Text points that are new. A text inside two records makes two points."""
    records: int
    """Records that got new points."""
    outside: int
    """Texts of the table that are inside no record."""


class TextPixels(NamedTuple):
    """The pixels of one record that some texts of a table are about."""

    text: Int64[np.ndarray, "n"]
    """Index of each text in the table."""
    row: Int64[np.ndarray, "n"]
    column: Int64[np.ndarray, "n"]


class ProjectedTable:
    """The points of a table in the coordinates of any grid. Each coordinate reference system is computed once.

    Args:
        table: the table.
    """

    def __init__(self, table: TextTable):
        self.table = table
        self.coordinates: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def on_grid(self, site: Site) -> TextPixels:
        """Find the texts inside a site that are true of some of its support period.

        Args:
            site: a site without support period counts from its first to its last frame.

        Returns:
            The texts and their pixels. A pixel includes its upper and its left edge.

        Raises:
            ModuleNotFoundError: pyproj is not installed.
            ValueError: the site's coordinate reference system is unknown, or it has no frame.
        """
        a, b, c, d, e, f = site.transform
        determinant = a * e - b * d
        x, y = self._coordinates(site)
        with np.errstate(invalid="ignore"):  # a point outside of the projection is at infinity
            # to a millionth of a pixel: a point on an edge, converted from degrees, is off by less
            column = np.floor(np.round((e * (x - c) - b * (y - f)) / determinant, 6))
            row = np.floor(np.round((a * (y - f) - d * (x - c)) / determinant, 6))
        height, width = site.shape
        is_inside = (row >= 0) & (row < height) & (column >= 0) & (column < width) & self._overlaps(site)
        return TextPixels(
            np.flatnonzero(is_inside), row[is_inside].astype(np.int64), column[is_inside].astype(np.int64)
        )

    def _coordinates(self, site: Site) -> tuple[Float64[np.ndarray, "N"], Float64[np.ndarray, "N"]]:
        try:
            from pyproj import Transformer
            from pyproj.exceptions import ProjError
        except ModuleNotFoundError:
            raise ModuleNotFoundError("placing texts needs the package pyproj: install aef[text]") from None
        if site.crs not in self.coordinates:
            try:
                transformer = Transformer.from_crs("EPSG:4326", site.crs, always_xy=True)
            except ProjError:
                raise ValueError(f"site {site.name}: pyproj does not know its crs {site.crs!r}") from None
            self.coordinates[site.crs] = transformer.transform(self.table.lon, self.table.lat)
        return self.coordinates[site.crs]

    def _overlaps(self, site: Site) -> Bool[np.ndarray, "N"]:
        if site.support:
            first, end = site.support
        else:
            times = np.concatenate([series.time_ms for series in site.series.values()])
            if not len(times):
                raise ValueError(f"site {site.name}: it has neither a support period nor a frame")
            first, end = times.min(), times.max() + 1
        return (self.table.period_ms[:, 0] < end) & (self.table.period_ms[:, 1] > first)


def add_text(folder: Path, table: Path, model: str) -> AddedText:
    """Embed the texts of a table, and store them in every record that they are inside of.

    A text that a record already has is not added again. Memory holds the table, its vectors and one record.

    Args:
        folder: the data set, which is rewritten.
        table: CSV, GeoJSON, Parquet or GeoParquet; see `read_table`.
        model: path or name of a sentence-transformers model; empty for the default one.

    Returns:
        What was added.

    Raises:
        ValueError: the table has a mistake, or another model embedded the data set's texts. Nothing is written then.
    """
    dataset, texts, name = Dataset.open(folder), read_table(table), model_name(model)
    if dataset.text_points and dataset.text_model != name:
        raise ValueError(
            f"{folder}: the model {dataset.text_model!r} embedded its texts, so texts of {name!r} cannot be added"
        )
    pixels = _find_pixels(dataset, texts)
    used = np.unique(np.concatenate([each.text for each in pixels.values()] or [np.zeros(0, np.int64)]))
    outside = len(texts) - len(used)
    if not len(used):
        return AddedText(0, 0, outside)
    vectors = _embed_each_once(texts, used, model)
    width = vectors.shape[1]
    if dataset.text_points and dataset.text_width != width:
        raise ValueError(f"{folder}: its texts have vectors of {dataset.text_width} numbers, {name!r} gives {width}")
    added = {}

    def change(split: Split, index: int, site: Site) -> Site:
        if (split, index) not in pixels:
            return site
        text = merge_points(site.text, _points(texts, pixels[split, index], vectors))
        added[split, index] = len(text) - len(site.text)
        return replace(site, text=text)

    rewrite(dataset, change, width, name)
    return AddedText(sum(added.values()), sum(count > 0 for count in added.values()), outside)


def merge_points(old: TextPoints, new: TextPoints) -> TextPoints:
    """Append the new points that differ from all others in pixel, period or sentence.

    Args:
        old: the points that stay.
        new: the points to append.

    Returns:
        Old points, then new ones.
    """
    if not len(old):
        old = TextPoints.none(new.sentence.shape[1])
    known: dict[tuple[int, ...], list[np.ndarray]] = {}
    for key, sentence in zip(_keys(old), old.sentence, strict=True):
        known.setdefault(key, []).append(sentence)
    is_new = np.zeros(len(new), bool)
    for index, (key, sentence) in enumerate(zip(_keys(new), new.sentence, strict=True)):
        others = known.setdefault(key, [])
        is_new[index] = not any(
            np.linalg.norm(sentence - other) <= SAME_SENTENCE * np.linalg.norm(other) for other in others
        )
        others.append(sentence)
    new = new.select_points(is_new)
    return TextPoints(
        np.concatenate([old.row, new.row]),
        np.concatenate([old.column, new.column]),
        np.concatenate([old.period_ms, new.period_ms]),
        np.concatenate([old.sentence, new.sentence]),
        (old.words or ("",) * len(old)) + new.words,
    )


def _keys(text: TextPoints) -> list[tuple[int, ...]]:
    return list(zip(text.row.tolist(), text.column.tolist(), *text.period_ms.T.tolist(), strict=True))


def _find_pixels(dataset: Dataset, texts: TextTable) -> dict[tuple[Split, int], TextPixels]:
    """Return the pixels of each record that has any, by split and index."""
    projected, pixels = ProjectedTable(texts), {}
    for split in SPLITS:
        records = dataset.records(split)
        for index in tqdm(range(len(records)), f"places, {split}", unit="record"):
            inside = projected.on_grid(records[index])
            if len(inside.text):
                pixels[split, index] = inside
    return pixels


def _embed_each_once(texts: TextTable, used: Int64[np.ndarray, "n"], model: str) -> Float32[np.ndarray, "N E"]:
    """Return a vector for each text of the table: that of its sentence, or 0 if it is not in `used`."""
    sentences, which = np.unique(np.array([texts.text[i] for i in used], object), return_inverse=True)
    embedded = embed(list(sentences), model)
    vectors = np.zeros((len(texts), embedded.shape[1]), np.float32)
    vectors[used] = embedded[which]
    return vectors


def _points(texts: TextTable, pixels: TextPixels, vectors: Float32[np.ndarray, "N E"]) -> TextPoints:
    words = tuple(texts.text[i] for i in pixels.text)
    return TextPoints(pixels.row, pixels.column, texts.period_ms[pixels.text], vectors[pixels.text], words)
