"""Named configs. Each lists what differs from the paper's."""

from dataclasses import replace

from configs.config import Config
from configs.data import DataConfig
from configs.model import ModelConfig
from configs.sources import GLO30, LANDSAT, NLCD, SENTINEL1, SENTINEL2, SOURCES, TEXT
from configs.training import TrainingConfig

PAPER = Config()
"""The released model: widths 128, 512 and 1024, 15 blocks, about 480 M parameters."""

PAPER_1B = replace(
    PAPER,
    model=ModelConfig(
        d_precision=192, d_exchange=448, d_time=768, d_space=1536, heads_time=12, heads_space=24, heads_summary=6
    ),
)
"""About a billion parameters (ours). The paper mentions such a variant but not its sizes."""

SMALL = replace(
    PAPER,
    model=ModelConfig(
        d_precision=64,
        d_exchange=128,
        d_time=192,
        d_space=384,
        num_blocks=5,
        heads_time=6,
        heads_space=6,
        heads_summary=2,
        decoder_width=256,
    ),
    training=TrainingConfig(steps=50_000, learning_rate=3e-4, batch=32),
)
"""About 25 M parameters, for one GPU."""

TINY = replace(
    PAPER,
    sources=(
        replace(SENTINEL2, frame_budget=16),
        replace(LANDSAT, frame_budget=8),
        replace(SENTINEL1, frame_budget=8),
        *SOURCES[3:],
    ),
    model=ModelConfig(
        d_precision=16,
        d_exchange=32,
        d_time=48,
        d_space=64,
        num_blocks=2,
        heads_time=2,
        heads_space=4,
        heads_summary=2,
        decoder_width=128,
        block_loop="unroll",
        remat="none",
    ),
    training=TrainingConfig(
        steps=580, warmup_steps=50, learning_rate=3e-3, batch=12, evaluate_every=290, checkpoint_every=145
    ),
    data=DataConfig(tile_side=16, teacher_frame_dropout=False, time_jitter_days=8),
)
"""Trains in minutes on two CPU cores."""

DEBUG = replace(
    TINY,
    sources=(
        replace(SENTINEL2, frame_budget=4),
        replace(LANDSAT, frame_budget=3),
        replace(SENTINEL1, frame_budget=3),
        GLO30,
        NLCD,
        TEXT,
    ),
    model=ModelConfig(
        d_precision=8,
        d_exchange=12,
        d_time=16,
        d_space=16,
        num_blocks=2,
        heads_time=2,
        heads_space=2,
        heads_summary=2,
        mlp_ratio=2,
        embed_dim=8,
        decoder_width=16,
        block_loop="unroll",
        remat="none",
    ),
    training=TrainingConfig(
        steps=20,
        warmup_steps=2,
        learning_rate=1e-2,
        batch=2,
        evaluate_every=10,
        validation_sites=2,
        checkpoint_every=10,
    ),
)
"""Compiles in seconds, trains in seconds and learns little. It has one source for each kind of input, error and
decoder: shift-invariant, on a coarser grid, with metadata, static, of classes, and text."""

PRESETS = {"debug": DEBUG, "tiny": TINY, "small": SMALL, "paper": PAPER, "paper_1b": PAPER_1B}
