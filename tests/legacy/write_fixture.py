"""Write `tests/legacy/fixture` with the code of commit 179b89d, the last one that wrote the first formats.

Run it in a checkout of that commit: `PYTHONPATH=. python .../tests/legacy/write_fixture.py FOLDER`. Today's code cannot
run it. What it writes: a data set, a run that was killed after 4 of 8 steps, the same state converted to PyTorch, the
parameters of the finished run, and the numbers that the old code computed from all of these.
"""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from aef_jax.checkpoint import restore_params
from aef_jax.data.site import Series, Site
from aef_jax.data.training_data import find_site, open_data
from aef_jax.data.writer import DatasetWriter
from aef_jax.embed import embed_with, make_embedder
from aef_jax.run_folder import RunFolder
from aef_jax.train import train
from configs.timecode import DAY_MS

from configs.model import ModelConfig
from configs.presets import TINY
from configs.sources import NLCD, SENTINEL2
from configs.training import DataConfig, TrainingConfig
from parity.cli import main as parity

STEPS, KILLED_AT = 8, 4
SIDE, FRAMES = 16, 20
START_MS = int(np.datetime64("2019-01-01", "ms").astype(np.int64))
PERIOD = START_MS + 90 * DAY_MS, START_MS + 270 * DAY_MS
SIZES = {"d_precision": 4, "d_exchange": 4, "d_time": 4, "d_space": 8, "blocks": 2, "mlp_ratio": 1, "embedding": 8}
HEADS = {"heads_time": 2, "heads_space": 2, "heads_summary": 2}
CONFIG = replace(
    TINY,
    model=ModelConfig(**SIZES, **HEADS, decoder_width=4, block_loop="unroll", remat="none"),
    training=TrainingConfig(
        steps=STEPS,
        warmup_steps=2,
        learning_rate=1e-2,
        batch=2,
        evaluate_every=KILLED_AT,
        checkpoint_every=KILLED_AT,
        heldout_sites=2,
        skipped_in_a_row=3,
        weight_decay=0.01,
    ),
    data=DataConfig(path="dataset", tile_side=SIDE, support_days=180, least_target_fraction=0.2),
    sources=(replace(SENTINEL2, frame_budget=4), NLCD),
)


def site(seed: int) -> Site:
    """A smooth field of few values, so that a shard stays small."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:SIDE, :SIDE]
    classes = (row // 8 + column // 8 + seed).astype(np.uint8)[None, ..., None]
    days = np.sort(rng.choice(360, FRAMES, replace=False))
    season = (400 * np.sin(days / 58)).astype(int)[:, None, None, None]
    pixels = (1000 + 100 * (np.arange(5) + seed) + 200 * classes + season).astype(np.uint16)
    valid = np.repeat(rng.random(FRAMES) < 0.8, SIDE * SIDE).reshape(FRAMES, SIDE, SIDE, 1)
    valid[:, : seed + 1] = False
    optical = Series(pixels, valid, START_MS + days * DAY_MS, np.zeros((FRAMES, 0)), 0)
    everywhere = np.ones((1, SIDE, SIDE, 1), bool)
    cover = Series(classes, everywhere, np.array([START_MS + 180 * DAY_MS]), np.zeros((1, 0)))
    transform = (10, 0, 500_000, 0, -10, 5_600_000)
    return Site(f"site{seed}", {"sentinel2": optical, "nlcd": cover}, "EPSG:32631", transform)


def write_dataset() -> None:
    """Write `dataset/`: three training sites and two others."""
    with DatasetWriter(Path("dataset"), CONFIG.decoded_sources) as writer:
        for seed in range(3):
            writer.add(site(seed))
        for seed in (3, 4):
            writer.add(site(seed), "heldout")


def write_run() -> None:
    """Write `run/` as if it had been killed, `final.safetensors`, `torch/` and `expected.json`."""
    run = RunFolder(Path("run"))
    assert train(CONFIG, run, open_data(CONFIG)) == STEPS
    assert parity(["convert", "run", "final.safetensors"]) == 0
    assert parity(["convert", f"run/checkpoints/{KILLED_AT}", "torch"]) == 0
    records = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    records = [record for record in records if record["kind"] != "speed"]
    shutil.rmtree(run.checkpoints / str(STEPS))
    shutil.rmtree(run.tensorboard)
    for picture in run.path.glob("*.png"):
        picture.unlink()
    lines = [json.dumps(record) for record in records if record["step"] <= KILLED_AT]
    run.metrics_path.write_text("".join(f"{line}\n" for line in lines))
    normalised = run.read_normalisation().apply(find_site(CONFIG, None), CONFIG.input_sources)
    field = embed_with(make_embedder(CONFIG), restore_params(run.checkpoints, CONFIG), normalised, CONFIG, PERIOD)
    expected = {"period": PERIOD, "field": field[::5, ::5].tolist(), "metrics": records}
    Path("expected.json").write_text(json.dumps(expected) + "\n")


def write_sample_metrics() -> None:
    """Write `sample_metrics.jsonl`, of a run on the sample cube, whose dates are split too."""
    training = replace(CONFIG.training, steps=2, warmup_steps=1, evaluate_every=1, checkpoint_every=2)
    data = DataConfig(tile_side=SIDE, support_days=120, least_target_fraction=0.98)
    config = replace(CONFIG, training=training, data=data, sources=CONFIG.sources[:1])
    run = RunFolder(Path("sample"))
    train(config, run, open_data(config))
    shutil.move(run.metrics_path, "sample_metrics.jsonl")
    shutil.rmtree(run.path)


if __name__ == "__main__":
    import os

    target = Path(sys.argv[1])
    target.mkdir(parents=True)
    os.chdir(target)
    write_dataset()
    write_run()
    write_sample_metrics()
