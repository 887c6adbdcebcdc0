"""Keys in the metadata of weights files that `aef-parity convert` writes; their values are JSON, but for the step."""

from collections.abc import Mapping

CONFIG, NORMALIZATION, STEP, TRAINING = "aef_config", "aef_normalization", "aef_step", "aef_training"

_OLD_NORMALIZATION = "aef_normalisation"


def find_normalization(metadata: Mapping[str, str]) -> str | None:
    """Look up the statistics in the metadata of a weights file, under the key of today or of version 1.

    Args:
        metadata: the file's metadata.

    Returns:
        JSON of means and deviations by source, or None if the file carries none.
    """
    return metadata.get(NORMALIZATION, metadata.get(_OLD_NORMALIZATION))
