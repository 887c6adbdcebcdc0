"""Packed frames give the same embeddings as frames by source, and few programs are compiled for any numbers of them."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from itertools import pairwise

import jax
import numpy as np
import pytest
from flax import nnx

from aef_jax.inference.embed import CompiledEmbed, embed_fn
from aef_jax.inference.packing import BUDGETS, budget_of
from aef_jax.model.alphaearth import AlphaEarth
from configs.encodings.timecode import period_code, timecode
from configs.fields.frames import read_period
from configs.fields.stacks import FrameStack
from configs.fields.tiling import Area, embed_area
from configs.presets import DEBUG, TINY
from tests.support.paths import PROGRAMS, REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compiles")]
CONFIG = replace(DEBUG, sources=TINY.sources)
"""A small model of three input sources."""
YEAR = read_period(2019)


@pytest.fixture(scope="module")
def params() -> nnx.State:
    model = AlphaEarth(CONFIG, rngs=nnx.Rngs(0))
    state = nnx.state(model)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: np.asarray(x) + rng.normal(0, 0.05, x.shape).astype(x.dtype), state)


def make_stacks(counts: dict[str, int], seed: int = 0, side: int = 16) -> dict[str, FrameStack]:
    rng = np.random.default_rng(seed)
    channels = {source.name: source.channels for source in CONFIG.input_sources}
    return {
        name: FrameStack(
            rng.normal(0, 1, (count, side, side, channels[name])).astype(np.float32),
            np.sort(rng.integers(*YEAR, count)),
        )
        for name, count in counts.items()
    }


def test_packed_frames_give_what_frames_by_source_give(params):
    stacks = make_stacks({"sentinel2": 7, "landsat": 4, "sentinel1": 3})
    stacks["sentinel2"].pixels[2] = 0  # an absent frame
    stacks["sentinel1"].pixels[..., 1] = 0  # a band that all frames lack
    embed, frames = CompiledEmbed(CONFIG), {}

    def keep(given, periods):
        frames.update(given)
        return embed(embed.place(params), given, periods)

    summer = read_period(("2019-06-01", "2019-09-01"))
    packed = embed_area(keep, Area(stacks, [YEAR, summer], YEAR), CONFIG)
    assert frames["sentinel2"].present.sum() == 6
    starts, ends = np.array([YEAR, summer]).T
    codes = period_code(starts, ends).astype(np.float32)[None]
    plain = jax.jit(embed_fn(CONFIG))(params, frames, codes)[0]
    np.testing.assert_allclose(packed, plain, atol=2e-6)
    assert np.abs(packed[0] - packed[1]).max() > 1e-3
    assert np.abs(timecode(stacks["landsat"].time_ms)).max() <= 1


def test_a_hundred_sites_compile_five_programs(params):
    embed = CompiledEmbed(CONFIG)
    model = partial(embed, embed.place(params))
    for count in range(1, 101):
        counts = {"sentinel2": count, "landsat": count // 3, "sentinel1": (7 * count) % 11}
        stacks = make_stacks({name: n for name, n in counts.items() if n}, seed=count)
        (field,) = embed_area(model, Area(stacks, [YEAR], YEAR), CONFIG)
        assert np.isfinite(field).all()
    assert embed.program._cache_size() == 5  # of 16, 32, 64, 128 and 192 frames


def test_large_batches_are_computed_in_parts(params):
    """Memory is bounded: no more frames at once than `frames_per_device`, and the same result."""
    stacks = make_stacks({"sentinel2": 20}, side=52)
    embed = CompiledEmbed(CONFIG)
    model = partial(embed, embed.place(params))
    whole = embed_area(model, Area(stacks, [YEAR], YEAR), CONFIG, batch=5)
    embed.frames_per_device = 64  # two tiles of 32 frames
    parts = embed_area(model, Area(stacks, [YEAR], YEAR), CONFIG, batch=5)
    np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_a_batch_is_computed_on_all_devices(compiler_settings):
    """Sixteen tiles in batches of five, which three devices do not divide."""
    names = {name.upper(): str(value) for name, value in compiler_settings.items()}
    environment = {**os.environ, **names, "JAX_NUM_CPU_DEVICES": "3", "JAX_PLATFORMS": "cpu"}
    program = [sys.executable, str(PROGRAMS / "run_embed_on_devices.py")]
    environment["PYTHONPATH"] = str(REPOSITORY)
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    devices, apart = done.stdout.split()
    assert int(devices) == 3
    assert float(apart) < 2e-6


def test_budgets_waste_at_most_half():
    assert [budget_of(count) for count in (0, 1, 16, 17, 128, 129, 2048, 2049, 5000)] == [
        *(16, 16, 16, 32, 128, 192, 2048, 4096, 6144),
    ]
    assert all(after <= 2 * before for before, after in pairwise(BUDGETS))
