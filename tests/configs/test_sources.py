"""The table of sources agrees with the paper (S1, S2 and S4)."""

import pytest

from configs.presets import PAPER
from configs.sources import SOURCES

BY_NAME = {source.name: source for source in SOURCES}

BANDS = {
    "sentinel2": "B2 B3 B4 B8 B11",
    "landsat": "B2 B3 B4 B5 B6 B8 B10",
    "sentinel1": "VV VH HH HV angle",
    "palsar2": "HH HV LIN",
    "grace": "lwe_thickness",
    "glo30": "elevation slope aspect_sine aspect_cosine",
    "nlcd": "landcover",
    "cdl": "cropland",
    "gedi": " ".join(f"rh{percentile}" for percentile in range(101)),
    "text": "",
}


def _where(predicate) -> set[str]:
    return {source.name for source in SOURCES if predicate(source)}


def test_there_are_eleven_sources_and_three_of_them_are_inputs():
    assert len(SOURCES) == len(BY_NAME) == 11
    assert [source.name for source in PAPER.input_sources] == ["sentinel2", "landsat", "sentinel1"]
    assert _where(lambda source: source.kind == "classes") == {"nlcd", "cdl"}
    assert _where(lambda source: source.kind == "text") == {"text"}


@pytest.mark.parametrize("name", BANDS)
def test_bands_are_the_papers_in_its_order(name):
    assert [band.name for band in BY_NAME[name].bands] == BANDS[name].split()


def test_era5_land_has_twelve_monthly_statistics():
    assert BY_NAME["era5_land"].channels == 12


def test_weights_are_one_except_for_coarse_sources_and_maps():
    assert {source.name: source.weight for source in SOURCES if source.weight != 1} == {
        "grace": 0.5,
        "nlcd": 0.25,
        "cdl": 0.25,
    }


def test_misregistration_and_regridding_distances_are_the_papers():
    assert {s.name: s.shift_invariant_m for s in SOURCES if s.shift_invariant_m} == {"sentinel2": 20, "sentinel1": 20}
    assert {s.name: s.regrid_m for s in SOURCES if s.regrid_m} == {
        "landsat": 30,
        "palsar2": 30,
        "gedi": 20,
        "grace": 1280,
        "glo30": 30,
        "nlcd": 30,
        "cdl": 30,
    }


def test_frame_budgets_make_a_sequence_of_103_elements():
    budgets = {source.name: source.frame_budget for source in PAPER.input_sources}
    assert budgets == {"sentinel2": 65, "landsat": 21, "sentinel1": 17}
    assert sum(budgets.values()) == 103


def test_student_budgets_are_frame_budgets_less_random_drop():
    assert {s.name: s.student_budget for s in PAPER.input_sources} == {"sentinel2": 33, "landsat": 15, "sentinel1": 12}
    assert BY_NAME["grace"].student_budget == 0


def test_student_may_lose_radar_and_landsat_but_not_sentinel2():
    assert {s.name: s.source_drop for s in PAPER.input_sources} == {"sentinel2": 0, "landsat": 0.3, "sentinel1": 0.3}
    assert {s.name: s.frame_drop for s in PAPER.input_sources} == {"sentinel2": 0.5, "landsat": 0.3, "sentinel1": 0.3}


def test_only_static_maps_lack_time_and_only_radar_has_metadata():
    assert _where(lambda source: not source.timed) == {"glo30"}
    assert {s.name: s.metadata_width for s in SOURCES if s.metadata} == {"sentinel1": 4, "palsar2": 2}


def test_scalings_are_the_papers():
    def scalings(name):
        return [band.scaling for band in BY_NAME[name].bands]

    assert scalings("sentinel2") == ["log1p"] * 5
    assert scalings("landsat") == ["log1p"] * 6 + ["none"]
    assert scalings("sentinel1") == ["none"] * 4 + ["radians"]
    assert scalings("palsar2") == ["palsar_decibel"] * 2 + ["radians"]
    assert [band.valid_range for band in BY_NAME["sentinel1"].bands[:4]] == [(-30.0, 10.0)] * 4


# (low, high) that a product shows, and values of a mistaken unit or fill that must lie outside
REAL_AND_MISTAKEN = {
    ("sentinel2", 0): ((1, 18_000), (64_536, 65_535)),  # uint16 - 1000 that wrapped; saturation
    ("landsat", 0): ((-0.05, 1.4), (7_000, 65_535)),  # digital numbers
    ("landsat", 6): ((180, 360), (20, 30_000)),  # degrees Celsius, digital numbers
    ("sentinel1", 4): ((29, 46), (0.5, 0.8)),  # radians
    ("palsar2", 0): ((200, 65_000), (-20, -5)),  # decibel
    ("era5_land", 0): ((0, 2), (30, 300)),  # millimeters
    ("era5_land", 3): ((200, 320), (-40, 40)),  # degrees Celsius
    ("era5_land", 9): ((48_000, 105_000), (500, 1_050)),  # hectopascal
    ("gedi", 98): ((-20, 90), (-9_999, 3_000)),  # a fill value, centimeters
    ("grace", 0): ((-400, 100), (-99_999, 32_767)),
    ("glo30", 0): ((-430, 8_849), (-32_768, -9_999)),
    ("glo30", 1): ((0, 1.5), (5, 45)),  # degrees
    ("glo30", 2): ((-1, 1), (90, 270)),  # degrees
}


@pytest.mark.parametrize(("name", "band"), REAL_AND_MISTAKEN)
def test_valid_ranges_tell_real_values_from_mistakes(name, band):
    real, mistaken = REAL_AND_MISTAKEN[name, band]
    low, high = BY_NAME[name].bands[band].valid_range
    assert all(low <= value <= high for value in real)
    assert not any(low <= value <= high for value in mistaken)


def test_every_continuous_band_has_a_valid_range():
    bands = [band for source in SOURCES if source.kind == "continuous" for band in source.bands]
    assert all(band.valid_range for band in bands)


def test_objective_and_training_defaults_are_the_papers():
    weights = PAPER.objective
    assert (weights.reconstruction, weights.uniformity, weights.consistency, weights.text) == (1, 0.05, 0.02, 0.001)
    assert weights.noise
    paper = PAPER.training
    assert (paper.steps, paper.warmup_steps, paper.learning_rate, paper.batch) == (100_000, 1_000, 1e-4, 256)
    assert (PAPER.model.embed_dim, PAPER.model.kappa, PAPER.data.tile_side) == (64, 8000, 128)
