"""Compute what a training step moves through HBM: bytes per sequence, by operator, from a formula.

configs/flops.py counts the operations of the same operators. The formula gives a floor for the model as it is written,
not for what XLA compiles it to. It assumes:

- A pass reads each of its arrays once and writes each of its results once. A matrix product or convolution is one pass
  together with the elementwise operations before and after it (bias, GELU, residual, rotation, casts). A norm is one
  pass, and so is a softmax. Layouts cost nothing: there are no transposes, and concatenations copy nothing.
- Attention's logits and weights are materialized: the softmax reads the one and writes the other, the products write
  the one and read the other.
- A backward pass moves twice as much as the forward pass: each of the two gradients of a product reads the gradient of
  the result; one of them reads the input, the other writes its gradient.
- A rematerialized block runs forward twice, and its three states are saved: copied, and read again.
- Activations have the compute dtype; embeddings, noise, predictions and targets are float32. Each pass on each device
  reads the weights in float32, whatever the number of sequences, once for each part of an accumulated batch. The
  weights' gradients are written as often.
- Adam reads the parameter, two moments and the gradient, and writes the first three. Before that, the gradients are
  read once for their norm.
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
"""Float32 arrays of the parameters' size that an optimizer step reads or writes."""


class FrameCounts(NamedTuple):
    """The number of frames and of summary periods of one sequence."""

    by_source: Mapping[str, int]
    """Frames of each input source, absent ones included."""
    periods: int
    """Periods for which the summary makes an embedding field."""

    @property
    def total(self) -> int:
        """Frames of all sources."""
        return sum(self.by_source.values())


def forward_activations(config: Config, frames: FrameCounts) -> Bytes:
    """Compute the activations that one sequence moves from its frames to its embedding fields.

    Args:
        config: of the model.
        frames: of the sequence.

    Returns:
        Bytes by operator.
    """
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
        # norm 2 (and 1 to add the condition to the series), query, key and value 6, the two products of
        # attention 4, out 3, norm 2, hidden layer 1 + r, output r + 2
        "time": model.num_blocks * ((21 + 2 * model.mlp_ratio) * time + 4 * logits["time"]),
        "space": model.num_blocks * ((20 + 2 * model.mlp_ratio) * space + 4 * logits["space"]),
        "exchange": model.num_blocks * (5 * precision + 5 * lateral + 10 * time + 5 * space),
        # norm 2, key 2, value 2, and 1 each to read keys and values for all periods
        "summary": 8 * precision + 4 * logits["summary"],
    }
    moved = {name: float(itemsize * frames.total * elements) for name, elements in per_frame.items()}
    moved["source encoders"] += sum(FLOAT32 * count * pixels[name] for name, count in frames.by_source.items())
    # out 2, norm 2, hidden layer 1 + r, output r + 2, upsampling 1 and its result; the unit vector reads and writes
    field = (8 + 2 * model.mlp_ratio) * precision * itemsize + side**2 * model.embed_dim * (2 * itemsize + FLOAT32)
    moved["summary"] += frames.periods * field
    return moved


def training_traffic(
    config: Config,
    teacher: FrameCounts,
    student: FrameCounts | None,
    targets: tuple[str, ...],
    weights: Mapping[str, int],
    shards: int = 1,
) -> tuple[Bytes, Bytes]:
    """Compute what one training step moves.

    Args:
        config: of the training run.
        teacher: frames of the teacher, and its periods.
        student: frames of the student; None if there is no student.
        targets: names of the target sources in the batch.
        weights: number of parameters of each operator. Those of a text head are too few to matter except to Adam.
        shards: number of devices over which parameters and moments are split.

    Returns:
        Two tables of bytes by operator: per sequence, and per device regardless of its number of sequences.
    """
    passes = [forward_activations(config, frames) for frames in (teacher, student) if frames]
    forward = {name: sum(moved[name] for moved in passes) for name in passes[0]}
    runs = {name: 3 + _recomputed(config.model, name) for name in forward}
    sequence = {name: runs[name] * moved for name, moved in forward.items()}
    if config.model.remat == "block":
        precision, _, time, space = _states(config.model, config.data.tile_side)
        frames = sum(each.total for each in (teacher, student) if each)
        itemsize = ITEMSIZE[config.model.compute_dtype]
        sequence["saved states"] = 3.0 * itemsize * config.model.num_blocks * frames * (precision + time + space)
    sequence["decoders"] = 3 * _decoders(config, targets) if config.objective.reconstruction else 0.0
    per_pass = FLOAT32 * config.training.grad_accum_steps
    device: Bytes = {name: per_pass * len(passes) * runs[name] * float(weights[name]) for name in forward}
    device["decoders"] = per_pass * 3.0 * weights["decoders"]
    device["optimizer"] = FLOAT32 * ADAM_PASSES * sum(weights.values()) / shards
    return sequence, device


def _recomputed(model: ModelConfig, operator: str) -> int:
    # "dots" does not recompute the products, but what it recomputes between them reads and writes as much
    return int(model.remat != "none" and operator in RECOMPUTED)


def _states(model: ModelConfig, side: int) -> tuple[int, int, int, int]:
    """Return the numbers of elements of one frame's states at L/2, L/4, L/8 and L/16."""
    widths = (model.d_precision, model.d_exchange, model.d_time, model.d_space)
    precision, lateral, time, space = (
        width * (side // fold) ** 2 for width, fold in zip(widths, (2, 4, 8, 16), strict=True)
    )
    return precision, lateral, time, space


def _logits(model: ModelConfig, side: int, frames: FrameCounts) -> dict[str, int]:
    """Return the number of attention logits of one frame."""
    cells = (side // 16) ** 2
    return {
        "time": model.heads_time * (side // 8) ** 2 * frames.total,
        "space": model.heads_space * cells**2,
        "summary": model.heads_summary * (side // 2) ** 2 * frames.periods,
    }


def _decoders(config: Config, targets: tuple[str, ...]) -> float:
    """Return the bytes of reconstructing each target at all pixels and of its error, forward."""
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
            # the prediction is written; the prediction, the target and its validity are read for each shift
            error = FLOAT32 * source.decoder_outputs + shifts * (
                FLOAT32 * (source.decoder_outputs + source.channels) + source.channels
            )
            moved += pixels * (sample + layers + error)
    return moved
