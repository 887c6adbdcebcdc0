"""Draw the tensor in which two models differ."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.figure import Figure

from aef_jax.files.atomic import replace_file
from configs.serialization.printable import picture_text
from parity.comparison.bisection import Culprit
from parity.comparison.pair import Pair, round_call
from parity.comparison.precision import matmul_precision
from parity.report.report import display_name


def write_picture(pair: Pair, culprit: Culprit, path: Path) -> None:
    """Draw the culprit's worst tensor as JAX and as PyTorch compute it, and their difference, as PNG.

    Of a tensor with more than two axes, the slice along its two longest axes with the largest |difference| is drawn.

    Args:
        pair: The models.
        culprit: The culprit.
        path: The file.
    """
    worst = culprit.worst
    call, dtype = round_call(culprit.call, worst.tensor.dtype), worst.tensor.dtype
    with matmul_precision():
        computed = [side.compute(call, dtype).kinds[worst.kind] for side in (pair.jax, pair.torch)]
    jax_image, torch_image = (arrays[worst.tensor.name] for arrays in computed)
    with replace_file(path) as temporary:
        title = f"{display_name(culprit.call.name)}, {worst.kind} {worst.tensor.name}, {dtype}"
        _figure(picture_text(title), *_slices(jax_image, torch_image)).savefig(temporary, format="png", dpi=120)


def _slices(
    jax_image: Shaped[np.ndarray, "*N"], torch_image: Shaped[np.ndarray, "*N"]
) -> tuple[Float[np.ndarray, "R C"], Float[np.ndarray, "R C"]]:
    """Take the same two-dimensional slice of both."""
    shape = (1,) * max(0, 2 - jax_image.ndim) + jax_image.shape
    jax_array, torch_array = (array.astype(np.float64).reshape(shape) for array in (jax_image, torch_image))
    difference = np.nan_to_num(np.abs(jax_array - torch_array), nan=np.inf)
    at = np.unravel_index(difference.argmax(), shape)
    longest = sorted(np.argsort(shape, kind="stable")[-2:])
    index = tuple(slice(None) if axis in longest else place for axis, place in enumerate(at))
    return jax_array[index], torch_array[index]


def _figure(title: str, jax_image: Float[np.ndarray, "R C"], torch_image: Float[np.ndarray, "R C"]) -> Figure:
    figure = Figure(figsize=(10.5, 4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    largest = np.nanmax(np.abs(np.where(np.isfinite(torch_image), torch_image, np.nan))) or 1
    difference = jax_image - torch_image
    worst = np.nanmax(np.abs(np.where(np.isfinite(difference), difference, 0))) or 1
    panels = (("JAX", jax_image, largest), ("PyTorch", torch_image, largest), ("JAX - PyTorch", difference, worst))
    for axes, (name, image, limit) in zip(figure.subplots(1, 3), panels, strict=True):
        axes.set_facecolor("0.5")  # non-finite numbers show this color
        shown = axes.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
        axes.set_title(name, loc="left", fontsize=10)
        axes.tick_params(labelsize=8)
        figure.colorbar(shown, ax=axes, orientation="horizontal", fraction=0.06, pad=0.1).ax.tick_params(labelsize=8)
    return figure
