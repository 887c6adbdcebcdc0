"""A small data set on disk: a few small sites, some of them for validation."""

import json
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from aef_jax.data.store.site import Site
from aef_jax.data.store.writer import DatasetWriter
from configs.source import Source
from tests.support.data.small_site import CONFIG, small_site

TRAINING, VALIDATION = 3, 2


def small_sites(number: int, first_seed: int = 0) -> list[Site]:
    """Return sites of one tile each."""
    seeds = range(first_seed, first_seed + number)
    return [small_site(seed, f"site{seed}").window(slice(0, 16), slice(0, 16)) for seed in seeds]


def write(
    path: Path,
    training: Sequence[Site],
    validation: Sequence[Site] = (),
    sources: tuple[Source, ...] | None = None,
    **options: Any,
) -> Path:
    with DatasetWriter(path, sources or CONFIG.decoded_sources, **options) as writer:
        for site in training:
            writer.add(site)
        for site in validation:
            writer.add(site, "validation")
    return path


def write_small(path: Path, **options: Any) -> Path:
    return write(path, small_sites(TRAINING), small_sites(VALIDATION, first_seed=10), **options)


def change_description(path: Path, change: Callable[[dict], Any]) -> None:
    """Change the content of `dataset.json` by a function."""
    file = path / "dataset.json"
    table = json.loads(file.read_text())
    change(table)
    file.write_text(json.dumps(table))


def as_version_3(path: Path) -> Path:
    """Turn a data set into one of version 3 of the format."""

    def drop(table: dict) -> None:
        table["version"] = 3
        for added in ("labels", "moments"):
            table.pop(added)
        for row in table["sources"].values():
            row.pop("level")
        for shard in chain.from_iterable(table["splits"].values()):
            shard.pop("names")
            shard.pop("weights")

    change_description(path, drop)
    return path


def as_version_1(path: Path) -> Path:
    """Turn a data set with one shard per split into one of version 1 of the format."""
    as_version_3(path)
    only_shard(path, "validation").rename(path / "heldout-00000.array_record")

    def rename(table: dict) -> None:
        (shard,) = table["splits"].pop("validation")
        table["splits"]["heldout"] = [shard | {"file": "heldout-00000.array_record"}]
        table["normalisation"] = table.pop("normalization")
        table["version"] = 1
        for added in ("definitions", "smallest"):
            table.pop(added)
        for row in table["sources"].values():
            row.pop("values")
            row.pop("out_of_range")

    change_description(path, rename)
    return path


def only_shard(path: Path, split: str = "training") -> Path:
    (shard,) = path.glob(f"{split}-*")
    return shard


def overwrite_shard(path: Path, content: bytes) -> None:
    """Replace the only shard, and its size in the description, so that only the shard itself is wrong."""
    shard = only_shard(path)
    shard.write_bytes(content)
    change_description(path, lambda table: table["splits"]["training"][0].update(bytes=len(content)))


def assert_same(site: Site, other: Site) -> None:
    assert (site.name, site.crs, site.transform, site.support) == (
        other.name,
        other.crs,
        other.transform,
        other.support,
    )
    for name, series in site.series.items():
        np.testing.assert_array_equal(series.pixels, other.series[name].pixels, strict=True)
        np.testing.assert_array_equal(series.valid, other.series[name].valid, strict=True)
        np.testing.assert_array_equal(series.time_ms, other.series[name].time_ms, strict=True)
    np.testing.assert_array_equal(site.text.sentence, other.text.sentence, strict=True)
