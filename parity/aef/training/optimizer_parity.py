"""Compare the optimizers of both frameworks by themselves: the same gradients in, parameters out, step by step."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from aef_jax.training.optimizer import make_optimizer
from aef_torch.model.alphaearth import AlphaEarth
from aef_torch.training.optimizer import clip_by_global_norm, learning_rate
from aef_torch.training.optimizer import make_optimizer as make_torch_optimizer
from configs.config import Config
from configs.training import TrainingConfig
from parity.aef.model import abstract_jax
from parity.capture.quick_compile import QUICK
from parity.capture.tensors import load_torch, torch_arrays
from parity.capture.trees import Arrays, cast
from parity.comparison.metrics import Distance
from parity.mapping.weights import to_jax, to_torch

STEPS = 6
TRAINING = TrainingConfig(steps=STEPS + 2, warmup_steps=3, learning_rate=1e-3, weight_decay=0.1, clip_norm=1.0, batch=1)
"""A short schedule with warm-up, peak and decay; some gradients are clipped and others are not."""


def optimizer_distance(config: Config, weights: Arrays, dtype: str = "float64") -> list[float]:
    """Measure how far the changes that both optimizers made to the parameters are apart, after each of `STEPS` steps.

    Args:
        config: The model.
        weights: The initial parameters, by PyTorch's names.
        dtype: The dtype to compute in.

    Returns:
        Relative L2 of all changes together, JAX from PyTorch, per step.
    """
    distances = []
    for jax_params, torch_params in zip(
        _by_jax(config, weights, dtype), _by_torch(config, weights, dtype), strict=True
    ):
        jax_change, torch_change = (
            np.concatenate([(p[n] - weights[n]).ravel() for n in weights]) for p in (jax_params, torch_params)
        )
        distances.append(Distance.between(jax_change, torch_change, dtype).relative_l2)
    return distances


def _gradients(weights: Arrays, dtype: str) -> Iterator[Arrays]:
    for step in range(STEPS):
        generator, size = np.random.default_rng(step), 10.0 ** (step % 3 - 4)
        yield cast({name: size * generator.standard_normal(array.shape) for name, array in weights.items()}, dtype)


def _by_jax(config: Config, weights: Arrays, dtype: str) -> Iterator[Arrays]:
    with jax.enable_x64(dtype == "float64"):
        structure = abstract_jax(config, dtype)
        params, optimizer = to_jax(structure, cast(weights, dtype)), make_optimizer(TRAINING)
        moments = jax.jit(optimizer.init, compiler_options=QUICK)(params)

        def step(gradients, moments, params):
            updates, moments = optimizer.update(gradients, moments, params, finite=jnp.asarray(True))
            return optax.apply_updates(params, updates), moments

        update = jax.jit(step, compiler_options=QUICK)
        for gradients in _gradients(weights, dtype):
            params, moments = update(to_jax(structure, gradients), moments, params)
            yield to_torch(structure, params)


def _by_torch(config: Config, weights: Arrays, dtype: str) -> Iterator[Arrays]:
    model = AlphaEarth(config).to(getattr(torch, dtype))
    load_torch(model, cast(weights, dtype))
    optimizer, rate = make_torch_optimizer(model, TRAINING), learning_rate(TRAINING)
    for step, gradients in enumerate(_gradients(weights, dtype)):
        tensors = [torch.from_numpy(gradients[name]) for name, _ in model.named_parameters()]
        clipped = clip_by_global_norm(tensors, torch.nn.utils.get_total_norm(tensors), TRAINING.clip_norm)
        for parameter, gradient in zip(model.parameters(), clipped, strict=True):
            parameter.grad = gradient
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        yield {name: array.copy() for name, array in torch_arrays(model).items()}
