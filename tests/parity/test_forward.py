"""Every sub-module and the whole model compute the same in both frameworks, on the same weights and inputs.

In float64 outputs and all gradients agree to the last digits, so what is computed is the same. In float32 JAX's distance
from that truth is at most twice PyTorch's, so how it is computed is as good.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import aef_jax.model
import aef_jax.objective  # noqa: F401
import aef_torch.model
from configs.batch import BottleneckNoise, Frames
from configs.presets import TINY
from configs.sources import CDL, GLO30, LANDSAT, NLCD, PALSAR2, SENTINEL1, SENTINEL2, SOURCES
from configs.timecode import PERIOD_CODE_WIDTH, RELATIVE_TIMECODE_WIDTH, TIMECODE_WIDTH
from parity.tensors import load_torch, to_tensor, torch_arrays
from parity.weights import to_jax, to_torch

CONFIG = replace(TINY, model=replace(TINY.model, blocks=3))
MODEL = CONFIG.model
FLOAT64_BOUND = 1e-13
FLOAT32_RATIO_BOUND = 2.0
FLOAT32_SEEDS = range(5)
B, T, P = 2, 4, 2
HEIGHT, WIDTH = 16, 24  # of the L/2 grid; unequal, so that axes cannot be mistaken for one another


class Draw:
    """Random inputs whose numbers are float32's, so that both precisions are given the same ones."""

    def __init__(self, seed: int):
        self.generator = np.random.default_rng(seed)

    def __call__(self, *shape: int) -> np.ndarray:
        return self.generator.standard_normal(shape, np.float32)

    def present(self, *shape: int) -> np.ndarray:
        """At least one element of the first sequence, exactly one of the second, none of a third."""
        mask = self.generator.random(shape) < 0.6
        mask[0, 0] = True
        mask[1] = np.arange(shape[1]) == 1
        mask[2:] = False
        return mask

    def states(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of precision, time and space."""
        return (
            self(B, T, HEIGHT, WIDTH, MODEL.d_precision),
            self(B, T, HEIGHT // 4, WIDTH // 4, MODEL.d_time),
            self(B, T, HEIGHT // 8, WIDTH // 8, MODEL.d_space),
        )

    def noise(self, *shape: int) -> BottleneckNoise:
        return BottleneckNoise(self(*shape) ** 2 / 100, self(*shape, MODEL.embedding))

    def conditions(self, source) -> tuple[np.ndarray, np.ndarray]:
        """When, and metadata."""
        return self(B, RELATIVE_TIMECODE_WIDTH * source.timed), self(B, source.metadata_width)

    def frames(self) -> dict[str, Frames]:
        return {
            s.name: Frames(
                self(B, 2, 2 * HEIGHT, 2 * WIDTH, s.channels), self(B, 2, TIMECODE_WIDTH), self.present(B, 2)
            )
            for s in CONFIG.input_sources
        }


def _call(_, module, *inputs):
    return module(*inputs)


class Case(NamedTuple):
    """What is compared; `framework` is the package aef_jax or aef_torch, and `rngs` is Flax's alone."""

    inputs: Callable[[Draw], tuple[Any, ...]]
    build: Callable[..., Any] | None = None
    """(framework, config, **rngs) -> module."""
    apply: Callable[..., Any] = _call
    """(framework, module, *inputs) -> outputs."""


def _model_inputs(draw: Draw):
    periods = draw(B, P, PERIOD_CODE_WIDTH)
    conditions = {source.name: draw.conditions(source) for source in CONFIG.decoded_sources}
    noise = draw.noise(B, 2 * HEIGHT, 2 * WIDTH)
    return draw.frames(), periods, noise, conditions, draw(B, MODEL.text_width), draw(B, PERIOD_CODE_WIDTH)


def _apply_model(framework, model, frames, periods, noise, conditions, sentence, text_period):
    fields = model(frames, periods)
    sample = framework.bottleneck.von_mises_fisher(fields[:, 0], noise)
    decoded = {name: model.decode(name, sample, *given) for name, given in conditions.items()}
    return fields, decoded, model.embed_text(sentence, text_period)


def _decoder(source) -> Case:
    return Case(
        build=lambda framework, config, **rngs: framework.decoders.Decoder(source, config.model, **rngs),
        inputs=lambda draw: (draw(B, HEIGHT, WIDTH, MODEL.embedding), *draw.conditions(source)),
    )


CASES = {
    "unit": Case(
        inputs=lambda draw: (draw(B, HEIGHT, WIDTH, MODEL.embedding),),
        apply=lambda framework, _, x: framework.layers.unit(x),
    ),
    "masked_softmax": Case(
        inputs=lambda draw: (3 * draw(3, HEIGHT, T, T), draw.present(3, T)[:, None, None]),
        apply=lambda framework, _, logits, mask: framework.attention.masked_softmax(logits, mask),
    ),
    "von_mises_fisher": Case(
        inputs=lambda draw: (draw(B, HEIGHT, WIDTH, MODEL.embedding), draw.noise(B, HEIGHT, WIDTH)),
        apply=lambda framework, _, x, noise: framework.bottleneck.von_mises_fisher(framework.layers.unit(x), noise),
    ),
    "SourceEncoder": Case(
        build=lambda framework, config, **rngs: framework.stp.SourceEncoder(5, config.model.d_precision, **rngs),
        inputs=lambda draw: (draw(B, T, 2 * HEIGHT, 2 * WIDTH, 5), draw.present(B, T)),
    ),
    "SpaceOperator": Case(
        build=lambda framework, config, **rngs: framework.operators.SpaceOperator(64, 4, 4, **rngs),
        inputs=lambda draw: (draw(B, T, 4, 6, 64),),
    ),
    "TimeOperator": Case(
        build=lambda framework, config, **rngs: framework.operators.TimeOperator(48, 4, 4, TIMECODE_WIDTH, **rngs),
        inputs=lambda draw: (draw(3, T, 4, 6, 48), draw(3, T, TIMECODE_WIDTH), draw.present(3, T)),
    ),
    "PrecisionOperator": Case(
        build=lambda framework, config, **rngs: framework.operators.PrecisionOperator(24, **rngs),
        inputs=lambda draw: (draw(B, T, HEIGHT, WIDTH, 24),),
    ),
    "Analysis": Case(
        build=lambda framework, config, **rngs: framework.pyramid.Analysis(config.model, **rngs),
        inputs=lambda draw: draw.states()[:1],
    ),
    "Exchange": Case(
        build=lambda framework, config, **rngs: framework.pyramid.Exchange(config.model, **rngs),
        inputs=Draw.states,
    ),
    "Synthesis": Case(
        build=lambda framework, config, **rngs: framework.pyramid.Synthesis(config.model, **rngs),
        inputs=Draw.states,
        apply=lambda _, module, precision, time, space: module(precision, None, time, space),
    ),
    "STPBlock": Case(
        build=lambda framework, config, **rngs: framework.stp.STPBlock(config.model, **rngs),
        inputs=lambda draw: (*draw.states(), draw(B, T, TIMECODE_WIDTH), draw.present(B, T)),
    ),
    "STPEncoder": Case(
        build=lambda framework, config, **rngs: framework.stp.STPEncoder(config.model, **rngs),
        inputs=lambda draw: (draw.states()[0], draw(B, T, TIMECODE_WIDTH), draw.present(B, T)),
    ),
    "TemporalSummary": Case(
        build=lambda framework, config, **rngs: framework.summary.TemporalSummary(config.model, **rngs),
        inputs=lambda draw: (
            draw(3, T, HEIGHT, WIDTH, MODEL.d_precision),
            draw(3, T, TIMECODE_WIDTH),
            draw.present(3, T),
            draw(3, P, PERIOD_CODE_WIDTH),
        ),
    ),
    "Decoder with angles": _decoder(SENTINEL1),
    "Decoder with binary facts": _decoder(PALSAR2),
    "Decoder without metadata": _decoder(LANDSAT),
    "Decoder of a static map": _decoder(GLO30),
    "Decoder of classes": _decoder(NLCD),
    "TextHead": Case(
        build=lambda framework, config, **rngs: framework.decoders.TextHead(config.model, **rngs),
        inputs=lambda draw: (draw(B, MODEL.text_width), draw(B, PERIOD_CODE_WIDTH)),
    ),
    "AlphaEarth": Case(
        build=lambda framework, config, **rngs: framework.model.AlphaEarth(config, **rngs),
        inputs=_model_inputs,
        apply=_apply_model,
    ),
}
