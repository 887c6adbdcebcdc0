"""One short config builds each collection of real files."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from aef_jax.data.build.config import read_build_config
from aef_jax.data.build.site_builder import SiteBuilder
from tests.support.paths import SHARED_DATA

CONFIGS = Path(__file__).parent / "real_data"
FRAMES = {
    "antwerp": {"sentinel2": 31, "sentinel1": 10},
    "belgium": {"sentinel2": 91, "landsat": 17, "sentinel1": 109, "era5_land": 11, "glo30": 1},
    "landsat": {"landsat": 14},
    "nrt": {"sentinel2": 16},
    "swiss": {"sentinel2": 32},
    "worldcereal": {"sentinel2": 10, "sentinel1": 12, "era5_land": 12},
}
"""Frames of the first site by source."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FRAMES))
def test_real_files_become_sites(tmp_path, name):
    spec = find_spec("nrt")
    nrt = Path(spec.origin).parent / "data" if spec and spec.origin else tmp_path / "none"
    if not (nrt if name == "nrt" else SHARED_DATA).exists():
        pytest.skip("the imagery is not in this clone")
    lines = (CONFIGS / f"{name}.toml").read_text().splitlines()
    assert len(lines) <= 40
    text = "\n".join(lines).replace('"NRT/', f'"{nrt}/').replace('"landsat.csv"', f'"{CONFIGS}/landsat.csv"')
    (tmp_path / "build.toml").write_text(text)
    builder = SiteBuilder(read_build_config(tmp_path / "build.toml"), SHARED_DATA)
    site, report = builder.build(builder.plan()[0][0])
    assert site is not None, report.rejects
    assert {source: len(series.time_ms) for source, series in site.series.items()} == FRAMES[name]
    assert all(series.has_data.any() and series.valid.any() for series in site.series.values())
    for source in builder.config.sources:
        values, series = site.series[source.name].pixels, site.series[source.name]
        ranges = np.array([band.valid_range or (-np.inf, np.inf) for band in source.bands])
        is_beyond = ((values < ranges[:, 0] - 500) | (values > ranges[:, 1])) & series.has_data
        assert is_beyond.mean() < 0.001, f"{source.name} shows the encoder numbers that are none"
    if name == "belgium":
        assert set(np.unique(site.labels["labels"])) == {-1, 11, 13, 60}
