"""A merged data set is that of one piece, byte for byte; what does not fit is refused by the names of both."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aef_jax.cli import main as cli
from aef_jax.data.build.merge import merge_datasets
from aef_jax.data.build.rejects import REJECTS_NAME, read_rejects, write_rejects
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.site import Site, TextPoints
from configs.sources import SOURCES
from tests.support.data.small_dataset import as_version_1, change_description, small_sites, write
from tests.support.data.small_site import CONFIG
from tests.support.refusals import error_message

FIRST, SECOND, THIRD, FOURTH = small_sites(4)
LABELED = replace(SECOND, labels={"crops": np.ones((16, 16), np.uint8)})
RADAR = replace(THIRD.series["sentinel1"], pixels=THIRD.series["sentinel1"].pixels.astype(np.float64))


def without(site: Site, *names: str) -> Site:
    return replace(site, series={name: series for name, series in site.series.items() if name not in names})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def parts(tmp_path) -> tuple[Path, Path]:
    """Two parts, the first of which lacks a source of the second; both begin with a site for validation."""
    first = write(tmp_path / "first", [without(LABELED, "glo30")], [FIRST])
    return first, write(tmp_path / "second", [FOURTH], [THIRD])


def test_parts_merge_to_the_bytes_of_one_piece(tmp_path, parts, capsys):
    whole = write(tmp_path / "whole", [without(LABELED, "glo30"), FOURTH], [FIRST, THIRD])
    for folder, rejects in (
        (parts[0], [("a.tif", "broken"), ("site x", "no frame")]),
        (parts[1], [("a.tif", "broken"), ("site y, a", 'it says "no"')]),
        (whole, [("a.tif", "broken"), ("site x", "no frame"), ("site y, a", 'it says "no"')]),
    ):
        write_rejects(folder, rejects)
    assert cli.main(["data", "merge", str(tmp_path / "out"), *map(str, parts)]) == 0
    out, err = capsys.readouterr()
    assert out == f"wrote 2 training and 2 validation records to {tmp_path / 'out'}\n"
    assert "4/4" in err, "a progress bar"
    assert contents(tmp_path / "out") == contents(whole)
    assert read_rejects(whole)[2] == ("site y, a", 'it says "no"')


def test_an_old_data_set_becomes_the_current_version(tmp_path):
    whole = write(tmp_path / "whole", [FIRST, SECOND], [THIRD], sources=SOURCES)
    old = as_version_1(write(tmp_path / "old", [FIRST, SECOND], [THIRD]))
    merge_datasets(tmp_path / "out", [old])
    assert contents(tmp_path / "out") == contents(whole)


def _text_of(model: str):
    return lambda table: table["text"].update(model=model)


def _other_band(table: dict) -> None:
    row = next(row for row in table["definitions"] if row["name"] == "landsat")
    row["bands"][0]["unit"] = "kelvin"


@pytest.mark.parametrize(
    ("site", "change", "reason"),
    [
        (SECOND, None, "both have a site 'site1', expected it in one"),
        (THIRD, _other_band, "differ in the bands or metadata of the source landsat, expected the same"),
        (THIRD, _text_of("b"), "have text of the models unknown (8) and b (8), expected the same model"),
        (
            replace(THIRD, series={**THIRD.series, "sentinel1": RADAR}),
            None,
            "differ in the dtype of the source sentinel1, expected the same",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_both_names(tmp_path, site, change, reason):
    first, second = write(tmp_path / "first", [SECOND]), write(tmp_path / "second", [site])
    if change:
        change_description(second, change)
    assert error_message(merge_datasets, tmp_path / "out", [first, second]) == f"{first} and {second} {reason}"
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second"}


def test_one_language_model_and_parts_without_text_merge(tmp_path):
    first = write(tmp_path / "first", [FIRST])
    change_description(first, _text_of("a"))
    silent = write(tmp_path / "silent", [replace(SECOND, text=TextPoints.none())])
    merged = merge_datasets(tmp_path / "out", [silent, first])
    assert (merged.text_model, merged.text_width, merged.text_points) == ("a", 8, len(FIRST.text))


def test_levels_are_mixed_only_if_told(tmp_path, mistake):
    first = write(tmp_path / "first", [FIRST], levels={"sentinel2": "L2A", "landsat": "SR"})
    second = write(tmp_path / "second", [SECOND], levels={"sentinel2": "L1C", "landsat": "SR"})
    refused = mistake("data", "merge", tmp_path / "out", first, second)
    assert refused == (
        f"aef: {first} and {second} have source sentinel2 of the processing levels ['L2A', 'L1C'], expected one, or"
        " --mixed-levels"
    )
    assert cli.main(["data", "merge", str(tmp_path / "out"), str(first), str(second), "--mixed-levels"]) == 0
    assert Dataset.open(tmp_path / "out").levels == {"landsat": "SR", "sentinel2": "L1C, L2A"}


def test_a_list_of_rejects_that_is_none_is_refused(tmp_path):
    folder = write(tmp_path / "first", [FIRST], sources=CONFIG.decoded_sources)
    (folder / REJECTS_NAME).write_text("one,two,three\n")
    assert "expected the columns where and reason" in error_message(merge_datasets, tmp_path / "out", [folder])
    assert Dataset.open(folder)
