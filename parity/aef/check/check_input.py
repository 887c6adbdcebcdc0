"""Choose what is compared: a preset with random weights, or a model saved in both frameworks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from configs.config import Config
from configs.fake_batch import random_batch
from configs.presets import PRESETS
from parity.aef.conversion.checkpoints import open_checkpoint
from parity.aef.conversion.jax_checkpoint import JaxCheckpoint
from parity.aef.conversion.torch_checkpoint import TorchCheckpoint
from parity.aef.pair import aef_pair
from parity.aef.random_weights import random_weights
from parity.capture.calls import Call
from parity.capture.trees import Arrays, cast
from parity.comparison.pair import Pair

SMALL = {
    "d_precision": 8,
    "d_exchange": 12,
    "d_time": 16,
    "d_space": 16,
    "num_blocks": 2,
    "heads_time": 2,
    "heads_space": 2,
    "heads_summary": 2,
    "mlp_ratio": 2,
    "embed_dim": 8,
    "decoder_width": 16,
    "text_width": 12,
}
"""What a preset is shrunk to: what a sub-module computes does not depend on its width."""
SIDE = 48
"""Pixels on a side of the random batch's tiles. On tiles of up to 32, XLA's CPU backend sums a whole batch one number
after the other: the gradient of a bias then has 50 times PyTorch's error; on larger tiles, less than PyTorch's.
"""
LARGEST = 64
"""A preset with a larger `d_space` is shrunk: the float64 oracle of the full size would take days."""


@dataclass(frozen=True)
class CheckInput:
    """A config and weights for both frameworks, float32, by PyTorch's names."""

    title: str
    config: Config
    torch: Arrays = field(repr=False)
    jax: Arrays = field(repr=False)
    notes: tuple[str, ...] = ()
    """Sentences that describe it."""

    @cached_property
    def pair(self) -> Pair:
        """The objective in both frameworks, each with its own weights."""
        return aef_pair(self.config, self.torch, jax_weights=self.jax)

    def call(self, seed: int) -> Call:
        """Call the objective on a random batch.

        Args:
            seed: The seed of the batch and of the cotangents.

        Returns:
            The call.
        """
        return self.pair.call(random_batch(self.config, SIDE, seed), seed=seed)


def read_check_input(names: Sequence[str]) -> CheckInput:
    """Read a preset, or PyTorch's weights and a JAX run.

    Args:
        names: A preset's name; or the path of PyTorch's weights and that of the JAX run's folder.

    Returns:
        What is compared.

    Raises:
        ValueError: If there is no such preset or path, or the two are not of the same model.
    """
    if len(names) == 1:
        if names[0] not in PRESETS:
            raise ValueError(
                f"unknown preset {names[0]!r}, expected one of {', '.join(PRESETS)}, or two paths, TORCH JAX"
            )
        return of_preset(names[0])
    return _of_paths(Path(names[0]), Path(names[1]))


def of_preset(name: str) -> CheckInput:
    """Make a preset's input, with random weights.

    Args:
        name: The preset's name.

    Returns:
        What is compared.
    """
    config, notes = PRESETS[name], ["The weights and the batch are random."]
    if config.model.d_space > LARGEST:
        config = replace(config, model=replace(config.model, **SMALL))
        sizes = ", ".join(f"{field} {size}" for field, size in SMALL.items())
        notes.append(f"{name} was shrunk, with all its sources and its whole objective: {sizes}.")
    weights = cast(random_weights(config), "float32")
    return CheckInput(f"preset {name}", config, weights, weights, tuple(notes))


def _of_paths(torch: Path, jax: Path) -> CheckInput:
    torch_checkpoint, jax_checkpoint = open_checkpoint(torch), open_checkpoint(jax)
    if not isinstance(torch_checkpoint, TorchCheckpoint) or not isinstance(jax_checkpoint, JaxCheckpoint):
        raise ValueError(f"expected PyTorch's weights and then the folder of a JAX run, got {torch} and {jax}")
    torch_checkpoint.require_model("float32")
    torch_config, jax_config = torch_checkpoint.config, jax_checkpoint.config
    if (torch_config.model, torch_config.sources) != (jax_config.model, jax_config.sources):
        raise ValueError(
            f"{torch} has another model or other sources than {jax}, expected weights converted from that run"
        )
    both = (torch_checkpoint, jax_checkpoint)
    weights = [cast({name: side.tensor(name) for name in side.params}, "float32") for side in both]
    note = f"Weights are those of {torch} and of {jax}; the batch is random."
    return CheckInput(f"{torch} and {jax}", jax_config, weights[0], weights[1], (note,))
