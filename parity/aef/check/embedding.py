"""Section `embedding`: unit vectors and gradients in float32, JAX compared with PyTorch directly, without an oracle."""

from dataclasses import replace

import jax
import numpy as np
import torch
from flax import nnx

from configs.fake_batch import random_frames, random_periods
from parity.aef.check.check_input import SIDE, CheckInput
from parity.aef.check.settings import Settings
from parity.capture.tensors import to_tensor
from parity.comparison.metrics import Distance
from parity.comparison.precision import matmul_precision
from parity.report.report import Check, Section

COMPONENTS = 2e-6
GRADIENTS = 3e-6


def embedding(check_input: CheckInput, settings: Settings) -> Section:
    """Measure the largest |difference| of any component, and the relative L2 of all gradients of the loss together.

    Args:
        check_input: What is compared.
        settings: How.

    Returns:
        The section.
    """
    section = Section("embedding", "Embeddings and the loss's gradients in float32, JAX from PyTorch")
    measures = {"embedding, largest |difference|": _apart, "all gradients of the loss, relative L2": _gradients_apart}
    reasons = {
        _apart: (COMPONENTS, "components of unit vectors, after the whole model in float32"),
        _gradients_apart: (GRADIENTS, "forward and backward through the whole model in float32"),
    }
    with matmul_precision():
        for name, measure in settings.progress(list(measures.items()), "embeddings and gradients"):
            section.checks.append(Check(name, measure(check_input), *reasons[measure]))
    return section


def _apart(check_input: CheckInput) -> float:
    frames, periods = random_frames(check_input.config, SIDE), random_periods()
    with torch.no_grad():  # inference mode would mark the cached model, which needs gradients later
        field = check_input.pair.torch.at("float32")(*jax.tree.map(to_tensor, (frames, periods))).numpy()
    graph, state = nnx.split(check_input.pair.jax.at("float32"))
    embed = jax.jit(lambda state, frames, periods: nnx.merge(graph, state)(frames, periods))
    return float(np.abs(np.asarray(embed(state, frames, periods)) - field).max())


def _gradients_apart(check_input: CheckInput) -> float:
    call = check_input.call(0)
    ones = {name: np.full_like(array, name == "[0]") for name, array in call.cotangents.items()}
    call = replace(call, cotangents=ones)  # gradients of the loss only
    computed = [
        side.compute(call, "float32").parameter_gradients for side in (check_input.pair.jax, check_input.pair.torch)
    ]
    jax_all, torch_all = (np.concatenate([gradients[name].ravel() for name in computed[1]]) for gradients in computed)
    return Distance.between(jax_all, torch_all, "float32").relative_l2
