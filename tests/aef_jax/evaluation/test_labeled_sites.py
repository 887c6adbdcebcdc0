"""Tests of labels that training evaluates."""

from dataclasses import replace

import numpy as np
import pytest

from aef_jax.data.store.dataset import Dataset
from aef_jax.evaluation.labeled_sites import LabeledSites, open_labeled_sites
from aef_jax.evaluation.labels.georeference import pixel_centers, to_degrees
from configs.presets import TINY
from tests.support.data.small_dataset import small_sites, write
from tests.support.refusals import error_message


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    """Write three validation sites, of which the second lies elsewhere."""
    sites = small_sites(3)
    sites[1] = replace(sites[1], transform=(10, 0, 600_000, 0, -10, 5_600_000))
    sites[2] = replace(sites[2], transform=(10, 0, 700_000, 0, -10, 5_600_000))
    return Dataset.open(write(tmp_path / "set", small_sites(1, 9), sites))


def write_points(path, dataset, records):
    """Write the diagonals of sites, each of whose points has another class than the next, and a point elsewhere."""
    rows = ["lon,lat,label", "10,10,0"]
    for record in records:
        site, index = dataset.records("validation")[record], np.arange(16)
        lon, lat = to_degrees(*pixel_centers(index, index, site.transform), site.crs, "here")
        rows += [f"{x},{y},{n % 2}" for n, x, y in zip(index, lon, lat, strict=True)]
    path.write_text("\n".join(rows))
    return path


def test_only_sites_with_labels_are_embedded_and_scored(dataset, tmp_path):
    labels, embedded = LabeledSites(write_points(tmp_path / "a.csv", dataset, (0, 2)), dataset), []

    def embed(site):
        embedded.append(site.transform[2])
        parity = np.arange(16) % 2
        return np.stack([np.broadcast_to(parity, (16, 16)), np.broadcast_to(1 - parity, (16, 16))], -1).astype(
            np.float32
        )

    metrics = labels(embed)
    assert embedded == [500_000, 700_000]
    names = [
        f"{name}/{metric}"
        for name in ("knn1", "knn3", "linear")
        for metric in ("balanced_accuracy", "kappa_adjusted_error")
    ]
    assert metrics == dict(zip(names, [1, 0] * 3, strict=True))
    assert labels(embed) == metrics, "to the bit, also in a run that is resumed"
    without = error_message(labels, lambda site: np.full((16, 16, 2), np.nan, np.float32))
    assert without == f"{tmp_path / 'a.csv'}: none of its points has an embedding"


def test_labels_that_do_not_fit_are_told_before_training(dataset, tmp_path):
    empty = tmp_path / "far.csv"
    empty.write_text("lon,lat,label\n10,10,0\n10,11,1\n")
    refusal = f"{empty}: none of its points lies in a validation site of {dataset.path}"
    assert error_message(LabeledSites, empty, dataset) == refusal
    config = replace(TINY, training=replace(TINY.training, evaluate_labels=str(empty)))
    assert "needs a data set with a validation split: give --data" in error_message(open_labeled_sites, config)
    config = replace(config, data=replace(config.data, path=str(dataset.path)))
    assert error_message(open_labeled_sites, config) == refusal
    assert open_labeled_sites(TINY) is None
