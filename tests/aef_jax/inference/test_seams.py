"""A real tile grown by mirroring to 4 x 4 km, in tiles and in one piece: the borders of tiles do not show."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from flax import nnx

from aef_jax.data.build.config import read_build_config
from aef_jax.data.build.frames.frames import BuildReport, read_series
from aef_jax.data.build.readers.grid import Grid
from aef_jax.data.build.site_builder import SiteBuilder
from aef_jax.data.store.site import Site
from aef_jax.data.store.statistics import normalization_of
from aef_jax.inference.embed import CompiledEmbed
from aef_jax.inference.site import to_stack
from aef_jax.model.alphaearth import AlphaEarth
from aef_jax.run.checkpoint import restore_params
from aef_jax.run.folder import RunFolder
from configs.fields.frames import read_period
from configs.fields.layout import lay_out
from configs.fields.stacks import FrameStack
from configs.fields.tiling import Area, embed_area
from configs.presets import TINY
from configs.sources import SENTINEL2
from tests.legacy.fixture import FIXTURE
from tests.support.paths import REPOSITORY, SHARED_DATA

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compiles")]
CONFIG = REPOSITORY / "tests" / "aef_jax" / "data" / "build" / "real_data" / "belgium.toml"
GROUND = Grid("EPSG:32631", (10.0, 0.0, 501_360.0, 0.0, -10.0, 5_629_680.0), 64)
YEAR, SIDE, TILE = read_period(2018), 400, 128


@pytest.fixture(scope="module")
def stack() -> FrameStack:
    """Three frames of the year, z-scored, with the ground mirrored again and again."""
    if not SHARED_DATA.exists():
        pytest.skip("the imagery is not in this clone")
    builder = SiteBuilder(read_build_config(CONFIG), SHARED_DATA)
    series = read_series(SENTINEL2, builder.entries_of("sentinel2"), GROUND, YEAR, BuildReport())
    assert series is not None
    clear = np.argsort(~series.valid.mean(axis=(1, 2, 3)).astype(bool), kind="stable")
    series = series.select_frames(np.sort(clear[:: max(1, len(clear) // 3)][:3]))
    site = Site("belgium", {"sentinel2": series}, GROUND.crs, GROUND.transform)
    pixels, time_ms = to_stack(normalization_of([site], (SENTINEL2,)), SENTINEL2, series)
    grown = SIDE - pixels.shape[1]
    return FrameStack(np.pad(pixels, [(0, 0), (0, grown), (0, grown), (0, 0)], mode="symmetric"), time_ms)


def untrained():
    config = replace(TINY, sources=(SENTINEL2,))
    return config, nnx.state(AlphaEarth(config, rngs=nnx.Rngs(3)))


def trained():
    run = RunFolder(FIXTURE / "run")
    config = run.read_config()
    return config, restore_params(run.checkpoints, config)


@pytest.mark.parametrize("model", [untrained, trained])
def test_borders_of_tiles_do_not_show(stack, model):
    config, params = model()
    embed = CompiledEmbed(config)
    fields = {}
    for side in (TILE, SIDE):
        sized = replace(config, data=replace(config.data, tile_side=side))
        area = Area({"sentinel2": stack}, [YEAR], YEAR)
        (fields[side],) = embed_area(partial(embed, embed.place(params)), area, sized, batch=2)
    apart = np.linalg.norm(fields[TILE] - fields[SIDE], axis=-1)
    step = np.linalg.norm(np.diff(fields[SIDE], axis=1), axis=-1)
    assert 0 < apart.mean() < step.mean(), "what a tile does not show of the ground matters less than a pixel's shift"
    ratios = [_step_at_borders(field) for field in fields.values()]
    assert ratios[0] / ratios[1] == pytest.approx(1, abs=0.05)


def _step_at_borders(field: np.ndarray) -> float:
    """Mean step between neighboring columns and rows where tiles are blended, relative to that elsewhere.

    The ground itself has more or fewer edges there, as the field in one piece tells.
    """
    trim, ramp = TILE // 16, TILE // 8
    at_border = np.zeros(SIDE - 1, bool)
    for strip in lay_out(SIDE, TILE)[1:]:
        at_border[strip.start + trim - 1 : strip.start + trim + ramp] = True
    columns = np.linalg.norm(np.diff(field, axis=1), axis=-1).mean(axis=0)
    rows = np.linalg.norm(np.diff(field, axis=0), axis=-1).mean(axis=1)
    steps = columns + rows
    return float(steps[at_border].mean() / steps[~at_border].mean())
