"""A table of texts is read, and the first mistake is reported."""

import os

import numpy as np
import pytest

from aef_jax.data.store.site import to_ms
from aef_jax.data.text.table import read_table
from tests.support.data.feature_files import wkb, write_geojson, write_geoparquet, write_parquet
from tests.support.data.small_texts import HEADER, write_table
from tests.support.refusals import error_message

GOOD = ("3.0", "50.5", "2016-01-01", "2016-02-01", "a wood")
MISTAKES = {
    "no number": (("x3", *GOOD[1:]), "row 3: lon is 'x3'"),
    "not finite": (("nan", *GOOD[1:]), "row 3: lon is 'nan'"),
    "too far east": (("180.5", *GOOD[1:]), "row 3: lon is '180.5', expected degrees from -180 to 180"),
    "too far south": (("3", "-90.1", *GOOD[2:]), "row 3: lat is '-90.1'"),
    "no date": ((*GOOD[:2], "June", *GOOD[3:]), "row 3: date 'June'"),
    "end before start": ((*GOOD[:2], "2016-02-02", *GOOD[3:]), "row 3: its end (2016-02-01) is not after its start"),
    "of no length": ((*GOOD[:3], "2016-01-01", "a wood"), "row 3: its end (2016-01-01) is not after its start"),
    "empty text": ((*GOOD[:4], "  "), "row 3: its text is empty"),
    "too few": (GOOD[:4], "row 3: 4 values, expected 5"),
    "too many": ((*GOOD, "and a lake"), "row 3: 6 values, expected 5"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_error_names_its_row(tmp_path, mistake):
    row, expected = MISTAKES[mistake]
    table = write_table(tmp_path / "wrong.csv", [GOOD, row, GOOD])
    assert f"wrong.csv, {expected}" in error_message(read_table, table)


def test_file_that_is_no_table_is_refused(tmp_path):
    file = tmp_path / "wrong.csv"
    write_table(file, [GOOD[:4]], HEADER[:4])
    assert "there is no column 'text'" in error_message(read_table, file)
    write_table(file, [])
    assert "it has no text, expected at least one" in error_message(read_table, file)
    file.write_bytes(b"")
    assert "there is no column 'lon'" in error_message(read_table, file)
    file.write_bytes("lon,lat,start,end,text\n3,50,2016-01-01,2017-01-01,Hütte\n".encode("latin-1"))
    assert "wrong.csv, line 2: not UTF-8" in error_message(read_table, file)
    file.write_text('lon,lat,start,end,text\n3,50,2016-01-01,2017-01-01,"a wood\n')
    assert "row 2: not CSV" in error_message(read_table, file)


def test_a_table_may_be_a_spreadsheets(tmp_path):
    file = tmp_path / "sheet.csv"
    rows = ' 3.5 ,2016-01-01,"Hütte,\r\nam See",7,50,2016-06-01\r\n\r\n'
    file.write_bytes(("lon,start,text,id,lat,end\r\n" + rows).encode("utf-8-sig"))
    table = read_table(file)
    assert table.text == ("Hütte,\r\nam See",)
    assert (table.lon.tolist(), table.lat.tolist()) == ([3.5], [50])
    assert table.period_ms.tolist() == [[to_ms("2016-01-01"), to_ms("2016-06-01")]]


def test_tables_of_all_formats_are_the_same(tmp_path):
    expected = read_table(write_table(tmp_path / "a.csv", [GOOD]))
    columns = dict(zip(HEADER, GOOD, strict=True))
    point = {"type": "Point", "coordinates": [3.0, 50.5]}
    files = [
        write_geojson(tmp_path / "a.geojson", (point, columns)),
        write_parquet(tmp_path / "a.parquet", {name: [value] for name, value in columns.items()}),
        write_geoparquet(tmp_path / "b.parquet", [wkb(point)], {name: [value] for name, value in columns.items()}),
    ]
    for file in files:
        np.testing.assert_equal(vars(read_table(file)), vars(expected))
    wrong = write_geojson(tmp_path / "b.geojson", (point, columns | {"text": 5}))
    assert error_message(read_table, wrong) == f"{wrong}, feature 1: its text is 5, expected a sentence"


def test_a_table_that_is_a_pipe_or_too_large_is_refused(tmp_path):
    """Issue 19, hostile input."""
    os.mkfifo(tmp_path / "pipe.csv")
    assert "pipe.csv is a folder, a pipe or a device" in error_message(read_table, tmp_path / "pipe.csv")
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(2**40)
    assert f"large.csv has {2**40:,} bytes, expected at most" in error_message(read_table, tmp_path / "large.csv")
