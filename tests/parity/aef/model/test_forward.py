"""Every sub-module and the whole model compute the same in both frameworks, on the same weights and inputs.

In float64, outputs and all gradients agree to the last digits, so both compute the same. In float32, JAX's distance
from that truth is at most twice PyTorch's, so both are equally accurate.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import aef_jax.model.alphaearth
import aef_jax.model.bottleneck
import aef_torch.model.alphaearth
import aef_torch.model.bottleneck
from configs.batch import BottleneckNoise, Frames
from configs.encodings.timecode import PERIOD_CODE_WIDTH, RELATIVE_TIMECODE_WIDTH, TIMECODE_WIDTH
from configs.presets import TINY
from configs.sources import GLO30, LANDSAT, NLCD, PALSAR2, SENTINEL1, SENTINEL2, TEXT
from parity.capture.quick_compile import QUICK
from parity.capture.tensors import load_torch, to_tensor, torch_arrays
from parity.mapping.weights import to_jax, to_torch

CONFIG = replace(
    TINY, model=replace(TINY.model, num_blocks=1), sources=(SENTINEL2, LANDSAT, SENTINEL1, PALSAR2, GLO30, NLCD, TEXT)
)
MODEL = CONFIG.model
THREE_SCANNED_BLOCKS = replace(MODEL, num_blocks=3, block_loop="scan")
FLOAT64_BOUND = 1e-13
FLOAT32_RATIO_BOUND = 2.0
FLOAT32_SEEDS = range(3)
B, T, P = 2, 4, 2
HEIGHT, WIDTH = 16, 24  # of the L/2 grid; unequal, so that swapped axes are noticed

pytestmark = pytest.mark.usefixtures("one_thread")


class RandomArrays:
    """Draws random inputs that are exact in float32, so that both precisions get the same numbers."""

    def __init__(self, seed: int):
        self.generator = np.random.default_rng(seed)

    def __call__(self, *shape: int) -> np.ndarray:
        return self.generator.standard_normal(shape, np.float32)

    def mask(self, *shape: int) -> np.ndarray:
        return self.generator.random(shape) < 0.6

    def present(self, *shape: int) -> np.ndarray:
        """Draw which elements are present: some of the first sequence, exactly one of the second, none of a third."""
        mask = self.mask(*shape)
        mask[0, 0], mask[1], mask[2:] = True, np.arange(shape[1]) == 1, False
        return mask

    def elements(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw timecodes, and which elements are present."""
        return self(batch, T, TIMECODE_WIDTH), self.present(batch, T)

    def states(self) -> tuple[np.ndarray, ...]:
        """Draw the states of the precision, time and space operators."""
        grids = (1, MODEL.d_precision), (4, MODEL.d_time), (8, MODEL.d_space)
        return tuple(self(B, T, HEIGHT // step, WIDTH // step, width) for step, width in grids)

    def noise(self, *shape: int) -> BottleneckNoise:
        return BottleneckNoise(self(*shape) ** 2 / 100, self(*shape, MODEL.embed_dim))

    def conditions(self, source) -> tuple[np.ndarray, np.ndarray]:
        """Draw period codes and metadata."""
        return self(B, RELATIVE_TIMECODE_WIDTH * source.timed), self(B, source.metadata_width)

    def frames(self) -> dict[str, Frames]:
        pixels = {s.name: self(B, 2, 2 * HEIGHT, 2 * WIDTH, s.channels) for s in CONFIG.input_sources}
        return {
            name: Frames(x, self(B, 2, TIMECODE_WIDTH), self.present(B, 2), self.mask(B, 2, x.shape[-1]))
            for name, x in pixels.items()
        }


class Case(NamedTuple):
    """One comparison. `framework` is the package aef_jax.model or aef_torch.model; only Flax has `rngs`."""

    inputs: Callable[[RandomArrays], tuple[Any, ...]]
    build: Callable[..., Any] = lambda framework, config, **rngs: nnx.Dict() if rngs else torch.nn.ModuleDict()
    """(framework, config, **rngs) -> module."""
    apply: Callable[..., Any] = lambda _, module, *inputs: module(*inputs)
    """(framework, module, *inputs) -> outputs."""


def _model_inputs(draw: RandomArrays):
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
        inputs=lambda draw: (draw(B, HEIGHT, WIDTH, MODEL.embed_dim), *draw.conditions(source)),
    )


CASES = {
    "unit": Case(
        inputs=lambda draw: (draw(B, HEIGHT, WIDTH, MODEL.embed_dim),),
        apply=lambda framework, _, x: framework.layers.unit(x),
    ),
    "masked_softmax": Case(
        inputs=lambda draw: (3 * draw(3, HEIGHT, T, T), draw.present(3, T)[:, None, None]),
        apply=lambda framework, _, logits, mask: framework.attention.masked_softmax(logits, mask),
    ),
    "von_mises_fisher": Case(
        inputs=lambda draw: (draw(B, HEIGHT, WIDTH, MODEL.embed_dim), draw.noise(B, HEIGHT, WIDTH)),
        apply=lambda framework, _, x, noise: framework.bottleneck.von_mises_fisher(framework.layers.unit(x), noise),
    ),
    "SourceEncoder": Case(
        build=lambda framework, config, **rngs: framework.stp.SourceEncoder(5, config.model, **rngs),
        inputs=lambda draw: (draw(B, T, 2 * HEIGHT, 2 * WIDTH, 5), draw.present(B, T), draw.mask(B, T, 5)),
    ),
    "SpaceOperator": Case(
        build=lambda framework, config, **rngs: framework.operators.SpaceOperator(64, 4, 4, **rngs),
        inputs=lambda draw: (draw(B, T, 4, 6, 64),),
    ),
    "TimeOperator": Case(
        build=lambda framework, config, **rngs: framework.operators.TimeOperator(48, 4, 4, TIMECODE_WIDTH, **rngs),
        inputs=lambda draw: (draw(3, T, 4, 6, 48), *draw.elements(3)),
    ),
    "PrecisionOperator": Case(
        build=lambda framework, config, **rngs: framework.operators.PrecisionOperator(24, **rngs),
        inputs=lambda draw: (30 + draw(B, T, HEIGHT, WIDTH, 24),),  # the variance must be accurate with a large mean
    ),
    "Analysis": Case(
        build=lambda framework, config, **rngs: framework.pyramid.Analysis(config.model, **rngs),
        inputs=lambda draw: draw.states()[:1],
    ),
    "Exchange": Case(
        build=lambda framework, config, **rngs: framework.pyramid.Exchange(config.model, **rngs),
        inputs=RandomArrays.states,
    ),
    "Synthesis": Case(
        build=lambda framework, config, **rngs: framework.pyramid.Synthesis(config.model, **rngs),
        inputs=RandomArrays.states,
        apply=lambda _, module, precision, time, space: module(precision, None, time, space),
    ),
    "STPBlock": Case(
        build=lambda framework, config, **rngs: framework.stp.STPBlock(config.model, **rngs),
        inputs=lambda draw: (*draw.states(), *draw.elements(B)),
    ),
    "STPEncoder": Case(
        build=lambda framework, config, **rngs: framework.stp.STPEncoder(THREE_SCANNED_BLOCKS, **rngs),
        inputs=lambda draw: (draw.states()[0], *draw.elements(B)),
    ),
    "TemporalSummary": Case(
        build=lambda framework, config, **rngs: framework.summary.TemporalSummary(config.model, **rngs),
        inputs=lambda draw: (
            draw(3, T, HEIGHT, WIDTH, MODEL.d_precision),
            *draw.elements(3),
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
        build=lambda framework, config, **rngs: framework.alphaearth.AlphaEarth(config, **rngs),
        inputs=_model_inputs,
        apply=_apply_model,
    ),
}


SLOW = ("Analysis", "Exchange", "Synthesis", "TemporalSummary", "STPBlock", "STPEncoder", "AlphaEarth")


class Result(NamedTuple):
    """All results of one framework, by name. Gradients are of the outputs' product with fixed random numbers."""

    outputs: dict[str, np.ndarray]
    parameter_gradients: dict[str, np.ndarray]
    input_gradients: dict[str, np.ndarray]


def _named(tree) -> dict[str, Any]:
    return {jax.tree_util.keystr(path) or "it": leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _cast(tree, dtype: str):
    return jax.tree.map(lambda leaf: leaf if leaf.dtype == bool else leaf.astype(dtype), tree)


def _config(dtype: str):
    return replace(CONFIG, model=replace(MODEL, compute_dtype=dtype))


def _cotangent(shape: tuple[int, ...]) -> np.ndarray:
    return RandomArrays(2**32)(*shape)


@cache
def _given(name: str, seed: int) -> tuple[dict[str, np.ndarray], Any]:
    """Return weights, by PyTorch's names, and inputs. No bias is 0 and no scale 1, so that a missing one is noticed."""
    draw = RandomArrays(seed)
    torch.manual_seed(seed)
    initial = torch_arrays(CASES[name].build(aef_torch.model, CONFIG))
    return {key: array + draw(*array.shape) / 10 for key, array in initial.items()}, CASES[name].inputs(draw)


@cache
def _by_torch(name: str, dtype: str, seed: int) -> Result:
    weights, inputs = _cast(_given(name, seed), dtype)
    module = CASES[name].build(aef_torch.model, _config(dtype)).to(getattr(torch, dtype))
    load_torch(module, weights)
    given = jax.tree.map(lambda leaf: to_tensor(leaf).requires_grad_(leaf.dtype != bool), inputs)
    parameters = dict(module.named_parameters())
    leaves = {key: leaf for key, leaf in _named(given).items() if leaf.requires_grad}
    outputs = _named(CASES[name].apply(aef_torch.model, module, *given))
    product = sum(torch.sum(out * to_tensor(_cotangent(out.shape))) for out in outputs.values())
    gradients = [
        torch.autograd.grad(product, list(named.values()), retain_graph=True, materialize_grads=True) if named else ()
        for named in (parameters, leaves)
    ]
    groups = (outputs, dict(zip(parameters, gradients[0], strict=True)), dict(zip(leaves, gradients[1], strict=True)))
    return Result(*({key: tensor.detach().numpy() for key, tensor in group.items()} for group in groups))


@cache
def _jax_function(name: str, dtype: str):
    """Return the module's structure, and a function of its state and the inputs that returns outputs and gradients."""
    case = CASES[name]
    graph, state = nnx.split(nnx.eval_shape(lambda: case.build(aef_jax.model, _config(dtype), rngs=nnx.Rngs(0))))
    structure = nnx.merge(graph, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), state))

    # float64 tests what is computed, not how well it is compiled, and compiles in half the time
    options = QUICK if dtype == "float64" else None

    @partial(jax.jit, compiler_options=options)
    def outputs_and_gradients(state, inputs):
        def outputs(state, floats):
            given = jax.tree.map(lambda x, leaf: leaf if x is None else x, floats, inputs, is_leaf=lambda x: x is None)
            return _named(case.apply(aef_jax.model, nnx.merge(graph, state), *given))

        floats = jax.tree.map(lambda leaf: None if leaf.dtype == bool else leaf, inputs)
        results, pull_back = jax.vjp(outputs, state, floats)
        return results, *pull_back({key: jnp.asarray(_cotangent(out.shape), out.dtype) for key, out in results.items()})

    return structure, outputs_and_gradients


@cache
def _by_jax(name: str, dtype: str, seed: int) -> Result:
    weights, inputs = _cast(_given(name, seed), dtype)
    with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
        structure, outputs_and_gradients = _jax_function(name, dtype)
        outputs, gradients, inputs = outputs_and_gradients(to_jax(structure, weights), inputs)
        return Result(*(jax.tree.map(np.asarray, d) for d in (outputs, to_torch(structure, gradients), _named(inputs))))


def _distance(actual: np.ndarray, truth: np.ndarray) -> float:
    """Relative L2; if the truth is zero, any other value is infinitely far."""
    size, error = np.linalg.norm(truth), np.linalg.norm(actual.astype(truth.dtype) - truth)
    return error / size if size else np.inf * error if error else 0.0


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CASES])
def test_float64_agrees_to_the_last_digits(name):
    actual, truth = _by_jax(name, "float64", 0), _by_torch(name, "float64", 0)
    for kind in Result._fields:
        distances = {k: _distance(getattr(actual, kind)[k], array) for k, array in getattr(truth, kind).items()}
        assert distances.keys() == getattr(actual, kind).keys()
        assert {k: d for k, d in distances.items() if not d <= FLOAT64_BOUND} == {}, kind


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_float32_is_as_exact_as_pytorchs(name):
    """Compare root mean squares, over tensors and draws, of the relative L2: each tensor counts the same."""
    for kind in ("outputs", "parameter_gradients"):
        errors = {}
        for compute in (_by_jax, _by_torch):
            distances = [
                _distance(getattr(compute(name, "float32", seed), kind)[key], truth)
                for seed in FLOAT32_SEEDS
                for key, truth in getattr(_by_torch(name, "float64", seed), kind).items()
            ]
            errors[compute] = np.sqrt(np.mean(np.square(distances))) if distances else 0
        assert errors[_by_jax] <= FLOAT32_RATIO_BOUND * errors[_by_torch], kind
