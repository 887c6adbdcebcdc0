"""What a training step moves through HBM: bytes per sequence, by operator, from a formula (see configs/flops.py).

It is a floor of the model as it is written, not what XLA makes of it. Its assumptions:

- A pass reads each of its arrays once and writes each of its results once. A product (convolutions among them) is a
  pass, with what is element by element before and after it (bias, GELU, residual, rotation, casts); so is a norm, and a
  softmax. Layouts cost nothing: there are no transposes, and no copies for concatenations.
- Attention's logits and weights are materialised: written and read by the softmax, written and read by the product.
- Backward, a pass moves twice what it moves forward: of a product, each of the two gradients reads the gradient of the
  result, one reads the input, the other writes its gradient.
- A block that is rematerialised runs forward twice, and its three states are kept: copied, and read again.
- Activations are in the compute dtype; embeddings, noise, predictions and targets in float32. Weights are read in
  float32 by each pass of each device, whatever its sequences, anew for each part of an accumulated batch; their
  gradients are written as often.
- Adam reads parameter, two moments and gradient, and writes the first three; before, gradients are read for their norm.
"""

from collections.abc import Mapping
from typing import NamedTuple

from configs.config import Config
from configs.flops import RECOMPUTED
from configs.model import ModelConfig

Bytes = dict[str, float]

FLOAT32 = 4
ITEMSIZE = {"bfloat16": 2, "float32": 4, "float64": 8}
ADAM_PASSES = 8
"""Arrays of the parameters' size, in float32."""


class Frames(NamedTuple):
    """Numbers of elements by input source, absent ones included, and of the periods that are asked for."""

    of: Mapping[str, int]
    periods: int

    @property
    def total(self) -> int:
        return sum(self.of.values())


def forward_activations(config: Config, frames: Frames) -> Bytes:
    """Frames in, embedding fields out, for one sequence: activations alone."""
    model, side = config.model, config.data.tile_side
    itemsize = ITEMSIZE[model.compute_dtype]
    precision, lateral, time, space = _states(model, side)
    logits = _logits(model, side, frames)
    pixels = {source.name: side**2 * source.channels for source in config.input_sources}
    per_frame = {
        "source encoders": 3 * precision,
        "pyramid": 5 * precision + 4 * lateral + 7 * time + 4 * space,
        # norm 2, first 2, second 3
        "precision": model.num_blocks * 7 * precision,
        # norm 2 (and the conditioned series, 1, where it is added), query, key and value 6, the two products of
        # attention 4, out 3, norm 2, hidden layer 1 + r, output r + 2
        "time": model.num_blocks * ((21 + 2 * model.mlp_ratio) * time + 4 * logits["time"]),
        "space": model.num_blocks * ((20 + 2 * model.mlp_ratio) * space + 4 * logits["space"]),
        "exchange": model.num_blocks * (5 * precision + 5 * lateral + 10 * time + 5 * space),
        # norm 2, key 2, value 2, and each read once by all periods
        "summary": 8 * precision + 4 * logits["summary"],
    }
    moved = {name: float(itemsize * frames.total * elements) for name, elements in per_frame.items()}
    moved["source encoders"] += sum(FLOAT32 * count * pixels[name] for name, count in frames.of.items())
    # out 2, norm 2, hidden layer 1 + r, output r + 2, upsampling 1 and its result; the unit vector reads and writes
    field = (8 + 2 * model.mlp_ratio) * precision * itemsize + side**2 * model.embed_dim * (2 * itemsize + FLOAT32)
    moved["summary"] += frames.periods * field
    return moved


def training_traffic(
    config: Config,
    teacher: Frames,
    student: Frames | None,
    targets: tuple[str, ...],
    weights: Mapping[str, int],
    shards: int = 1,
) -> tuple[Bytes, Bytes]:
    """Of one training step: per sequence, and per device whatever its sequences.

    Args:
        student: None where there is no student.
        weights: numbers of parameters by operator; a text head's are too few to matter but to Adam.
        shards: devices that share parameters and moments between them.
    """
    passes = [forward_activations(config, frames) for frames in (teacher, student) if frames]
    once = {name: sum(moved[name] for moved in passes) for name in passes[0]}
    runs = {name: 3 + _recomputed(config.model, name) for name in once}
    sequence = {name: runs[name] * moved for name, moved in once.items()}
    if config.model.remat == "block":
        precision, _, time, space = _states(config.model, config.data.tile_side)
        frames = sum(each.total for each in (teacher, student) if each)
        itemsize = ITEMSIZE[config.model.compute_dtype]
        sequence["kept states"] = 3.0 * itemsize * config.model.num_blocks * frames * (precision + time + space)
    sequence["decoders"] = 3 * _decoders(config, targets) if config.objective.reconstruction else 0.0
    per_pass = FLOAT32 * config.training.grad_accum_steps
    device: Bytes = {name: per_pass * len(passes) * runs[name] * float(weights[name]) for name in once}
    device["decoders"] = per_pass * 3.0 * weights["decoders"]
    device["optimizer"] = FLOAT32 * ADAM_PASSES * sum(weights.values()) / shards
    return sequence, device


def _recomputed(model: ModelConfig, operator: str) -> int:
    # "dots" spares the products, but what is recomputed between them reads and writes all the same
    return int(model.remat != "none" and operator in RECOMPUTED)


def _states(model: ModelConfig, side: int) -> tuple[int, int, int, int]:
    """Numbers in one frame at L/2, L/4, L/8 and L/16."""
    widths = (model.d_precision, model.d_exchange, model.d_time, model.d_space)
    precision, lateral, time, space = (
        width * (side // fold) ** 2 for width, fold in zip(widths, (2, 4, 8, 16), strict=True)
    )
    return precision, lateral, time, space


def _logits(model: ModelConfig, side: int, frames: Frames) -> dict[str, int]:
    """Attention logits of one frame."""
    cells = (side // 16) ** 2
    return {
        "time": model.heads_time * (side // 8) ** 2 * frames.total,
        "space": model.heads_space * cells**2,
        "summary": model.heads_summary * (side // 2) ** 2 * frames.periods,
    }


def _decoders(config: Config, targets: tuple[str, ...]) -> float:
    """One reconstruction of each target and its error, forward, at all pixels."""
    model, pixels = config.model, config.data.tile_side**2
    itemsize = ITEMSIZE[model.compute_dtype]
    moved = 0.0
    for source in config.decoded_sources:
        if source.name in targets:
            sample = FLOAT32 * 4 * model.embed_dim  # noise written and read, direction read, sample written
            layers = itemsize * (model.embed_dim + 4 * model.decoder_width)
            radius = round(source.shift_invariant_m / 10)
            shifts = sum(
                y * y + x * x <= radius**2 for y in range(-radius, radius + 1) for x in range(-radius, radius + 1)
            )
            # prediction written; prediction, target and what is valid of it read for each shift
            error = FLOAT32 * source.decoder_outputs + shifts * (
                FLOAT32 * (source.decoder_outputs + source.channels) + source.channels
            )
            moved += pixels * (sample + layers + error)
    return moved
