"""The PyTorch model meets the contract, and activation checkpointing changes no number."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from aef_torch.model.alphaearth import AlphaEarth
from configs.batch import Frames
from configs.fake_batch import random_periods
from configs.presets import PAPER
from tests.support.contracts.model_contract import ModelContract
from tests.support.data.sample_batch import SHRUNK, random_frames


@cache
def _model(config) -> AlphaEarth:
    torch.manual_seed(0)
    return AlphaEarth(config)


def _tensors(frames: dict[str, Frames]) -> dict[str, Frames]:
    return {name: Frames(*map(torch.from_numpy, f)) for name, f in frames.items()}


class TestModel(ModelContract):
    @torch.no_grad()
    def fields(self, config, frames, periods):
        return _model(config)(_tensors(frames), torch.from_numpy(periods)).numpy()

    def gradients(self, config, frames, periods):
        model, frames = _model(config), _tensors(frames)
        pixels = {name: f.pixels.requires_grad_() for name, f in frames.items()}
        used = {name: p for name, p in model.named_parameters() if name.startswith(("source_", "encoder", "summary"))}
        total = model(frames, torch.from_numpy(periods))[..., 0].sum()
        gradients = torch.autograd.grad(total, [*used.values(), *pixels.values()])
        return dict(zip([*used, *pixels], (gradient.numpy() for gradient in gradients), strict=True))

    @torch.no_grad()
    def decode(self, config, source, *given):
        return _model(config).decode(source, *map(torch.from_numpy, given)).numpy()

    @torch.no_grad()
    def embed_text(self, config, *given):
        return _model(config).embed_text(*map(torch.from_numpy, given)).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("remat", ["block", "dots"])
def test_remat_changes_no_number(remat):
    other = replace(SHRUNK, model=replace(SHRUNK.model, remat=remat))
    frames, periods = random_frames(), random_periods()
    expected = TestModel().gradients(SHRUNK, frames, periods)
    for name, gradient in TestModel().gradients(other, frames, periods).items():
        np.testing.assert_array_equal(gradient, expected[name], err_msg=name)


@pytest.mark.slow
def test_float64_is_float64_throughout():
    """If any operation ran in float32, a change of 1e-12 would be lost, or grow to 1e-7."""
    config = replace(SHRUNK, model=replace(SHRUNK.model, compute_dtype="float64"))
    frames, periods = random_frames(), torch.from_numpy(random_periods())
    torch.manual_seed(0)
    model = AlphaEarth(config).double()
    nudged = {name: f._replace(pixels=f.pixels.astype(np.float64) * (1 + 1e-12)) for name, f in frames.items()}
    with torch.no_grad():
        exact, moved = model(_tensors(frames), periods), model(_tensors(nudged), periods)
    assert exact.dtype == torch.float64
    assert 1e-15 < (exact - moved).abs().max() < 1e-9


def test_initial_weights_have_lecuns_deviation():
    torch.manual_seed(0)
    weights = {name: p for name, p in AlphaEarth(SHRUNK).encoder.analysis.named_parameters() if p.ndim == 4}
    assert len(weights) == 3
    for name, weight in weights.items():
        deviation = weight[0].numel() ** -0.5
        assert weight.std().item() == pytest.approx(deviation, rel=0.05), name
        assert weight.abs().max() <= 2 * deviation / 0.87962566, name


@pytest.mark.slow
def test_paper_has_480_million_parameters():
    with torch.device("meta"):
        model = AlphaEarth(PAPER)
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(480e6, rel=0.03)
