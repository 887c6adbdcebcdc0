"""How commands print tables, dates and numbers."""

import pytest

from aef_jax.console.dates import format_date, format_period
from aef_jax.console.tables import format_table
from aef_jax.console.units import plural

DAY_MS = 86_400_000


def test_columns_are_aligned_two_spaces_apart():
    rows = [("name", "bytes", "split"), ("a", "1,234,567", "whole"), ("longer", "8", "")]
    assert format_table(rows, "<><") == [
        "name        bytes  split",
        "a       1,234,567  whole",
        "longer          8",
    ]


def test_the_last_alignment_applies_to_further_columns():
    assert format_table([("a", "b", "c"), ("aa", "bb", "cc")], "<>") == ["a    b   c", "aa  bb  cc"]
    assert format_table([("a", "b"), ("aa", "bb")]) == ["a   b", "aa  bb"]


def test_a_table_without_rows_has_no_lines():
    assert format_table([]) == []


@pytest.mark.parametrize(
    ("time_ms", "date"),
    [(0, "1970-01-01"), (DAY_MS - 1, "1970-01-01"), (-1, "1969-12-31"), (1_514_764_800_000, "2018-01-01")],
)
def test_a_date_is_the_utc_day_of_an_instant(time_ms, date):
    assert format_date(time_ms) == date


def test_a_period_is_the_dates_of_its_ends():
    assert format_period((0, DAY_MS)) == "1970-01-01 to 1970-01-02"
    assert format_period((0, DAY_MS), "..") == "1970-01-01..1970-01-02"


@pytest.mark.parametrize(("number", "text"), [(0, "0 shards"), (1, "1 shard"), (1234, "1,234 shards")])
def test_a_count_has_a_plural_unit(number, text):
    assert plural(number, "shard") == text
