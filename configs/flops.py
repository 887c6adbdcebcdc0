"""Floating point operations of the model per sequence, by operator, from a formula.

The formula counts 2 for each multiply-add of matrix products and convolutions. It does not count kernel taps outside of
the grid, nor norms, activations and softmax, which are bound by memory. XLA's own count cannot be used, because it
counts the body of a scan once.
"""

from collections.abc import Mapping

from configs.config import Config
from configs.encodings.timecode import PERIOD_CODE_WIDTH, RELATIVE_TIMECODE_WIDTH, TIMECODE_WIDTH
from configs.model import ModelConfig

Flops = dict[str, int]
"""Floating point operations by operator."""

RECOMPUTED = ("precision", "time", "space", "exchange")
"""Operators that rematerialized blocks compute twice."""


def forward_flops(config: Config, frames: Mapping[str, int], periods: int) -> Flops:
    """Count the operations of embedding one sequence.

    Args:
        config: sizes and tile side.
        frames: number of frames by input source. Absent frames count, because they are computed and then masked.
        periods: number of valid periods that are summarized.

    Returns:
        Operations of one forward pass, by operator.
    """
    model, side, total = config.model, config.data.tile_side, sum(frames.values())
    blocks = {name: model.num_blocks * total * flops for name, flops in _block(model, side, total).items()}
    encoders = {source.name: _source_encoder(source.channels, model, side) for source in config.input_sources}
    return {
        "source encoders": sum(count * encoders[name] for name, count in frames.items()),
        "pyramid": total * (_down(model, side) + _up(model, side)),
        **blocks,
        "summary": _summary(model, side, total, periods),
    }


def training_flops(
    config: Config, frames: Mapping[str, int], student: Mapping[str, int], targets: tuple[str, ...], text: bool
) -> Flops:
    """Count the operations of one training step of one sequence, forward and backward.

    Terms whose weight is 0 cost nothing. A backward pass costs two forward passes, and rematerialized blocks one more.

    Args:
        config: sizes, tile side, weights of the objective and rematerialization.
        frames: number of the teacher's frames by input source, absent ones included.
        student: number of the student's frames by input source, absent ones included.
        targets: names of the sources that are reconstructed.
        text: whether the batch has texts.

    Returns:
        Operations of one step, by operator.
    """
    weights = config.objective
    text = text and config.has_text and weights.text > 0
    passes = [forward_flops(config, frames, len(targets) + 1 + text)]
    if weights.consistency:
        passes.append(forward_flops(config, student, periods=1))
    once = {name: sum(flops[name] for flops in passes) for name in passes[0]}
    recomputed = {"none": 0, "dots": 0, "block": 1}[config.model.remat]
    return {
        **{name: (3 + recomputed * (name in RECOMPUTED)) * flops for name, flops in once.items()},
        "decoders": 3 * decoder_flops(config, targets) if weights.reconstruction else 0,
        "text head": 3 * text_flops(config.model) if text else 0,
    }


def decoder_flops(config: Config, targets: tuple[str, ...]) -> int:
    """Count the operations of reconstructing targets at all pixels, forward only.

    Args:
        config: sizes, tile side and sources.
        targets: names of the sources that are reconstructed.

    Returns:
        Operations for one sequence.
    """
    width, pixels = config.model.decoder_width, config.data.tile_side**2
    sources = [source for source in config.decoded_sources if source.name in targets]
    per_pixel = sum(config.model.embed_dim * width + width**2 + width * source.decoder_outputs for source in sources)
    conditions = sum(source.metadata_width + RELATIVE_TIMECODE_WIDTH * source.timed for source in sources)
    return 2 * (pixels * per_pixel + conditions * width)


def text_flops(model: ModelConfig) -> int:
    """Count the operations of embedding one text. Its product with the global batch's embeddings is negligible.

    Args:
        model: sizes.

    Returns:
        Operations of one forward pass.
    """
    inputs, width = model.text_width + PERIOD_CODE_WIDTH, model.decoder_width
    return 2 * (inputs * width + width**2 + width * model.embed_dim)


def _source_encoder(channels: int, model: ModelConfig, side: int) -> int:
    missing_bands = channels * model.d_precision if model.architecture > 1 else 0
    project, refine = _taps(side, 4, 2) * channels * model.d_precision, _taps(side // 2, 3, 1) * model.d_precision**2
    return 2 * (project + missing_bands + refine)


def _block(model: ModelConfig, side: int, frames: int) -> Flops:
    """Count one block on one frame of a sequence of `frames`."""
    cells_time, cells_space = (side // 8) ** 2, (side // 16) ** 2
    time = cells_time * (_transformer(model.d_time, frames, model.mlp_ratio)) + 2 * TIMECODE_WIDTH * model.d_time
    return {
        "precision": 2 * 2 * _taps(side // 2, 3, 1) * model.d_precision**2,
        "time": time,
        "space": cells_space * _transformer(model.d_space, cells_space, model.mlp_ratio),
        "exchange": _down(model, side) + _up(model, side),
    }


def _transformer(width: int, elements: int, mlp_ratio: int) -> int:
    """Count attention among `elements` and an MLP, for one of them."""
    return 2 * ((4 + 2 * mlp_ratio) * width**2 + 2 * elements * width)


def _down(model: ModelConfig, side: int) -> int:
    widths = (model.d_precision, model.d_exchange, model.d_time, model.d_space)
    steps = zip(widths, widths[1:], (2, 4, 8), strict=False)
    return sum(2 * _taps(side // fold, 4, 2) * inputs * outputs for inputs, outputs, fold in steps)


def _up(model: ModelConfig, side: int) -> int:
    widths = (model.d_space, model.d_time, model.d_exchange, model.d_precision)
    steps = zip(widths, widths[1:], (16, 8, 4), strict=False)
    return sum(2 * 4 * (side // fold) ** 2 * inputs * outputs for inputs, outputs, fold in steps)


def _summary(model: ModelConfig, side: int, frames: int, periods: int) -> int:
    width, cells = model.d_precision, (side // 2) ** 2
    query = PERIOD_CODE_WIDTH * (1 + model.mlp_ratio) * width + model.mlp_ratio * width**2
    keys_values = frames * (cells * 2 * width**2 + TIMECODE_WIDTH * width)
    pooled = periods * cells * (2 * frames * width + (1 + 2 * model.mlp_ratio) * width**2)
    upsampled = periods * cells * 4 * 4 * width * model.embed_dim
    return 2 * (periods * query + keys_values + pooled + upsampled)


def _taps(cells: int, kernel: int, stride: int) -> int:
    """Count kernel taps inside a square grid of `cells`, over all outputs, with padding 1 on each side."""
    outputs = range((cells + 2 - kernel) // stride + 1)
    along = sum(0 <= output * stride - 1 + tap < cells for output in outputs for tap in range(kernel))
    return along**2
