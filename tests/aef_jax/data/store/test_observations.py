"""The writer refuses times and values that cannot be those of a source (rows 2, 12 and 13 of the users' cases)."""

import json
from dataclasses import replace

import numpy as np
import pytest

from aef_jax.cli import main as cli
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.site import Site, TextPoints, to_ms
from configs.encodings.timecode import DAY_MS
from tests.support.data.small_dataset import small_sites, write
from tests.support.data.small_site import START_MS
from tests.support.refusals import error_message

SITE = small_sites(1)[0]
OPTICAL = SITE.series["sentinel2"]


def _with(name: str, **changes) -> Site:
    return replace(SITE, series={**SITE.series, name: replace(SITE.series[name], **changes)})


def refusal(tmp_path, site: Site) -> str:
    said = error_message(write, tmp_path / "refused", [site])
    assert not (tmp_path / "refused").exists()
    return said


@pytest.mark.parametrize("per_unit", [1000, 60_000, DAY_MS])
def test_times_in_seconds_or_days_are_refused(tmp_path, per_unit):
    frames = len(OPTICAL.time_ms)
    for support in (None, (to_ms("2016-01-01"), to_ms("2019-01-01"))):
        site = replace(_with("sentinel2", time_ms=OPTICAL.time_ms // per_unit), support=support)
        assert refusal(tmp_path, site) == (
            f"site site0, source sentinel2: {frames} of {frames} times are within a year of 1970, expected epoch"
            " milliseconds: they seem to be in seconds or days"
        )


def test_text_periods_in_seconds_are_refused(tmp_path):
    text = replace(SITE.text, period_ms=SITE.text.period_ms // 1000)
    assert "source text: 12 of 12 times are within a year of 1970" in refusal(tmp_path, small_text(text))


def small_text(text) -> Site:
    return replace(SITE, text=text)


def test_frames_outside_of_the_support_period_are_refused(tmp_path):
    year = START_MS, START_MS + 366 * DAY_MS
    late = int((OPTICAL.time_ms >= year[1]).sum())
    last = str(np.datetime64(int(OPTICAL.time_ms[-1]), "ms").astype("datetime64[D]"))
    said = refusal(tmp_path, replace(SITE, support=year))
    assert f"site site0, source sentinel2: {late} of {len(OPTICAL.time_ms)} frames, of 2016-01-" in said
    assert f"..{last}, are outside of the support period 2016-01-01..2017-01-01, expected none: cut the site" in said
    in_seconds = replace(SITE, support=(year[0] // 1000, year[1] // 1000))
    assert "are outside of the support period 1970-01-17..1970-01-18" in refusal(tmp_path, in_seconds)


def test_too_short_a_support_period_is_refused(tmp_path):
    for days, is_enough in ((9, False), (10, True)):
        week = START_MS, START_MS + days * DAY_MS
        site = replace(SITE.between(*week), support=week, text=TextPoints.none())
        site = replace(site, series={name: site.series[name] for name in ("sentinel2", "landsat")})
        if is_enough:
            assert write(tmp_path / "enough", [site])
        else:
            assert refusal(tmp_path, site).endswith("has 9 days, expected at least 10, in epoch milliseconds")


def test_static_maps_may_have_any_time(tmp_path):
    year = START_MS, START_MS + 366 * DAY_MS
    cut = SITE.between(*year).series | {"glo30": replace(SITE.series["glo30"], time_ms=np.zeros(1, np.int64))}
    site = replace(SITE, series={name: series for name, series in cut.items() if len(series.time_ms)}, support=year)
    assert "glo30" in Dataset.open(write(tmp_path / "static", [site])).sources


def test_unknown_crs_is_refused_by_the_writer(tmp_path):
    assert "site site0: its crs 'EPSG:4326' is " in refusal(tmp_path, replace(SITE, crs="EPSG:4326"))


def test_offset_that_wrapped_is_told_by_writer_check_and_info(tmp_path, caplog, capsys):
    """Baseline 04.00: uint16 - 1000 wraps where the ground is dark."""
    valid = np.broadcast_to(OPTICAL.valid, OPTICAL.pixels.shape)
    dark = valid & (OPTICAL.pixels < 900)
    wrapped = np.where(OPTICAL.pixels < 900, OPTICAL.pixels - np.uint16(1000), OPTICAL.pixels)
    folder = write(tmp_path / "wrapped", [_with("sentinel2", pixels=wrapped)])
    share = dark[..., 0].sum() / valid[..., 0].sum()
    assert 0.2 < share < 0.5
    sentence = (
        f"source sentinel2, band B2: {share:.3%} of the values marked valid are out of range: expected 0 to 20000, in"
        " reflectance * 10000"
    )
    messages = [record.message for record in caplog.records]
    assert messages[0] == f"{folder}: {sentence}"
    assert len(messages) == 5
    assert cli.main(["data", "check", str(folder)]) == 2
    assert sentence in capsys.readouterr().out.splitlines()
    assert cli.main(["data", "info", str(folder)]) == 0
    assert sentence in capsys.readouterr().out.splitlines()
    # neither the statistics nor the loss counts them
    assert (Dataset.open(folder).normalization.mean["sentinel2"] < np.log1p(20_000)).all()


def test_up_to_one_percent_out_of_range_is_not_told(tmp_path, caplog):
    pixels = OPTICAL.pixels.copy()
    pixels[:, 0, :2] = 65_535  # saturation
    write(tmp_path / "few", [_with("sentinel2", pixels=pixels)])
    assert not caplog.records


@pytest.mark.parametrize("no_data", [None, 0])
def test_values_of_another_unit_are_refused(tmp_path, no_data):
    celsius = SITE.series["landsat"].pixels - np.float32([0, 0, 0, 0, 0, 0, 273.15])
    assert refusal(tmp_path, _with("landsat", pixels=celsius)) == (
        "site site0, source landsat, band B10: 100.000% of the values marked valid are out of range: expected 150 to"
        " 400, in kelvin"
    )
    codes = replace(SITE.series["nlcd"], pixels=SITE.series["nlcd"].pixels + np.uint8(11))
    said = refusal(tmp_path, replace(SITE, series={"nlcd": codes, "sentinel2": OPTICAL}))
    assert "source nlcd, band landcover: " in said
    assert said.endswith("expected a class from 0 to 15")
    filled = np.full_like(OPTICAL.pixels, 65_535)
    said = refusal(tmp_path, _with("sentinel2", pixels=filled, no_data=no_data))
    assert "source sentinel2, band B2: 100.000%" in said
    assert write(tmp_path / "marked", [_with("sentinel2", pixels=filled, no_data=65_535)])


def test_counts_of_older_data_sets_are_not_compared(own_dataset):
    from aef_jax.data.inspect.check import problems

    table = json.loads((own_dataset / "dataset.json").read_text())
    table["sources"]["landsat"]["out_of_range"][0] += 1
    (own_dataset / "dataset.json").write_text(json.dumps(table))
    assert any(problem.startswith("source landsat: out_of_range") for problem in problems(own_dataset))
    for row in table["sources"].values():
        row["values"] = row["out_of_range"] = []
    (own_dataset / "dataset.json").write_text(json.dumps(table))
    assert list(problems(own_dataset)) == []
