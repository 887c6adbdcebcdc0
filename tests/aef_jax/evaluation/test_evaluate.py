"""Tests of `aef evaluate`: what it prints and writes, and what it refuses."""

import csv
import json
import re

import numpy as np
import pytest
from pyproj import Transformer

from aef_jax.cli import main as cli
from aef_jax.inference.field import FieldInfo
from configs.fields.quantize import quantize
from tests.support.data.fields import save_cog

pytestmark = pytest.mark.slow

NUM_POINTS = 60
YEAR = 1514764800000, 1546300800000


@pytest.fixture
def points(tmp_path, monkeypatch):
    """Write labels with vectors that tell the classes apart, and some that tell nothing, and go to their folder."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    label = np.arange(NUM_POINTS) % 3
    before = np.eye(8)[label] + 0.3 * generator.standard_normal((NUM_POINTS, 8))
    after = np.where(label[:, None] == 1, before[:, ::-1], before)
    codes = quantize(np.stack([x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (before, after)], axis=1))
    arrays = {"lon": generator.uniform(3, 3.2, NUM_POINTS), "lat": generator.uniform(50, 50.2, NUM_POINTS)}
    changed, tons = (label == 1).astype(int), 2 * before[:, 0] + 1
    np.savez(
        "points.npz", emb=codes, label=label, changed=changed, tons=tons, noise=generator.random(NUM_POINTS), **arrays
    )
    return tmp_path


def evaluate(words: str) -> None:
    assert cli.main(["evaluate", "points.npz", *words.split(), "--max-folds", "20"]) == 0


def test_a_table_csv_json_and_a_page_are_written(points, capsys):
    evaluate("--features points.npz:emb:0 --features place=coordinates --blocks 500 -o out")
    out = capsys.readouterr().out
    assert (
        "60 samples of 3 classes, in 2 parts; each is the test set once.\nThe parts consist of blocks of 500 m." in out
    )
    rows = [line.split() for line in out.splitlines() if "+-" in line]
    # kNN with k = 3 needs three shots
    assert [row[2:4] for row in rows[:8]] == [
        *(["knn1", "1"], ["linear", "1"]),
        *([name, trial] for trial in ("10", "max") for name in ("knn1", "knn3", "linear")),
    ]
    assert {row[0] for row in rows} == {"points", "place"}
    with (points / "out" / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    tree = json.loads((points / "out" / "results.json").read_text())
    assert len(table) == len(tree["results"]) == len(rows) == 16
    for line, row, result in zip(rows, table, tree["results"], strict=True):
        assert line[6] == f"{float(row['balanced_accuracy']):.3f}"
        assert float(row["balanced_accuracy_sigma"]) == result["metrics"]["balanced_accuracy"]["sigma"]
        assert np.sum(result["confusion"]) == 30 * result["folds"]
    scores = {(row["features"], row["evaluator"], row["trial"]): float(row["balanced_accuracy"]) for row in table}
    assert scores["points", "linear", "max"] > 0.9
    assert scores["place", "linear", "max"] < 0.6
    page = (points / "out" / "report.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:)|url\(|@import|<script", page), "it needs no other file"
    assert page.count('<img src="data:image/svg+xml;base64,') == 4
    assert all(f"<h2>{title}</h2>" in page for title in ("Results", "balanced accuracy", "Confusion matrices", "Maps"))


def test_values_are_regressed_and_seeds_repeat(points, capsys):
    for _ in range(2):
        evaluate("--features points.npz:emb:0 --task regression --column tons --trials 10,max -o out")
    first, second, _ = capsys.readouterr().out.split("wrote out/report.html, with CSV and JSON beside it\n")
    assert first == second
    assert "r2" in first
    linear = next(line.split() for line in first.splitlines() if "linear" in line and " max " in line)
    assert float(linear[6]) > 0.9
    assert "Confusion" not in (points / "out" / "report.html").read_text()


def test_change_is_detected_with_and_without_training(points, capsys):
    evaluate("--features points.npz:emb:0,points.npz:emb:1 --task change --column changed --trials max -o out")
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "+-" in line]
    evaluators = [["magnitude", "none"], ["knn1", "max"], ["knn3", "max"], ["linear", "max"]]
    assert [row[1:4] for row in rows] == [["16", *each] for each in evaluators]
    assert all(float(row[6]) > 0.8 for row in rows)
    magnitude, *_ = json.loads((points / "out" / "results.json").read_text())["results"]
    assert magnitude["metrics"]["threshold"]["mean"] in (0.1, 0.2, 0.3)


@pytest.fixture
def field(points):
    """Write a field with no data in its upper half, and labels on it."""
    vectors = np.random.default_rng(0).standard_normal((20, 20, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors[:10] = np.nan
    transform = (10, 0, 500_000, 0, -10, 5_600_000)
    for name, columns in (("field.tif", 8), ("narrow.tif", 4)):
        narrow = vectors[..., :columns] / np.linalg.norm(vectors[..., :columns], axis=-1, keepdims=True)
        info = FieldInfo("EPSG:32631", transform, narrow.shape[:2], columns, YEAR, YEAR, "m")
        save_cog(points / name, narrow, info, "float32")
    to_degrees = Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True)
    places = [*((105 + 8 * n, 105 + 10 * (n % 6)) for n in range(12)), (55, 55), (65, 55), (9e5, 55), (9e5, 65)]
    degrees = [to_degrees.transform(500_000 + east, 5_600_000 - south) for east, south in places]
    rows = [f"{lon},{lat},{n % 2}" for n, (lon, lat) in enumerate(degrees)]
    for name, part in (("labels", slice(12)), ("upper", slice(12, 14)), ("far", slice(14, 16)), ("both", slice(14))):
        (points / f"{name}.csv").write_text("\n".join(["lon,lat,label", *rows[part]]))
    return points


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("labels.csv --features nothing.tif", "there are no features 'nothing.tif': expected composite, median"),
        ("far.csv --features field.tif", "far.csv: none of its 2 points lies in field.tif, expected some"),
        ("upper.csv --features field.tif", "features field: all no data at the 2 points of upper.csv"),
        ("labels.csv --features field.tif --features field=narrow.tif", "two features are called field: name one"),
        ("labels.csv --features field.tif --ignore 1", "labels.csv: all 6 usable points have the class 0"),
        ("labels.csv --features field.tif --parts 7", "class 0 has 6 usable samples, fewer than the 7 of --parts"),
        ("labels.csv --features field.tif --trials 9", "has 3 samples, fewer than the 9 of the trial; leave out this"),
        (
            "labels.csv --features field.tif --blocks 9000",
            "in 1 group that must stay together, expected at least the 2",
        ),
        ("labels.csv --features field.tif --task change", "are no pair, expected BEFORE,AFTER"),
        (
            "labels.csv --task change --features field.tif,narrow.tif",
            "have 8 numbers before, 4 after, expected equal",
        ),
        (
            "labels.csv --features composite",
            "features composite are computed from imagery, expected a data set: give --data",
        ),
        ("labels.csv --features field.tif --parts 1", "--parts is 1, expected at least 2"),
        ("labels.csv --features field.tif -o labels.csv", "labels.csv is no folder, expected one for results.csv"),
        ("missing.csv --features field.tif", "missing.csv"),
    ],
)
def test_mistakes_are_told_in_a_sentence(words, sentence, field, mistake, monkeypatch):
    monkeypatch.chdir(field)
    assert sentence in mistake("evaluate", *words.split())


def test_a_field_is_evaluated_where_it_has_data(field, capsys):
    words = "both.csv --features field.tif --features narrow.tif --trials max"
    assert cli.main(["evaluate", *words.split()]) == 0
    out = capsys.readouterr().out
    assert "12 samples of 2 classes" in out
    assert "2 labeled points are left out: some features are not known there." in out
