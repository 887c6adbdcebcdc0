"""Versions of `config.json`: names of settings that changed, and settings that older files lack.

Files of version 1 have no version number.
"""

import copy
import logging
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from configs.serialization.printable import printable_value

VERSION = 6
"""Version that `to_json` writes."""
RENAMED = {
    "model.blocks": "model.num_blocks",
    "model.embedding": "model.embed_dim",
    "training.accumulate": "training.grad_accum_steps",
    "training.skipped_in_a_row": "training.max_consecutive_skips",
    "training.heldout_sites": "training.validation_sites",
    "data.least_period_days": "data.min_period_days",
    "data.least_target_fraction": "data.min_target_fraction",
}
"""New name by old name, both dotted. Files and command lines may still use the old names."""
ADDED = {
    "data.workers": (2, 0),
    "training.freeze": (4, ""),
    "model.architecture": (5, 1),
    "training.evaluate_labels": (6, ""),
}
"""By setting: the first version in which every file has it, and the value that older files get if they lack it."""

_AS_STORED = {"log1p": np.expm1, "radians": np.rad2deg, "palsar_decibel": lambda decibel: 10 ** ((decibel + 83) / 20)}
"""Inverse of each scaling. Until version 2, the valid range of a band was in its unit after scaling."""


def upgrade(tree: Any) -> Any:
    """Convert a config of any known version to the present one.

    Args:
        tree: config as parsed from JSON, of any type: only JSON objects are converted.

    Returns:
        A converted copy without the key `version`.

    Raises:
        ValueError: the version is unknown, a setting appears under its old and its new name, or the sources are
            summaries, as `aef config` prints them by default.
    """
    if not isinstance(tree, dict):
        return tree
    tree = copy.deepcopy(tree)
    version = _pop_version(tree)
    sources = tree.get("sources")
    if sources and isinstance(sources, dict) and all(isinstance(line, str) for line in sources.values()):
        raise ValueError("config.sources are summaries, expected whole sources, as aef config PRESET --sources prints")
    sections = {name: section for name, section in tree.items() if isinstance(section, dict)}
    settings = [f"{name}.{key}" for name, section in sections.items() for key in section]
    for old, new in new_names(settings, "config: ").items():
        section, key = old.split(".")
        sections[section][new.partition(".")[2]] = sections[section].pop(key)
    if version < 3 and isinstance(sources, list):
        _convert_valid_ranges(sources)
    for name, (first_version, before) in ADDED.items():
        section, key = name.split(".")
        if version < first_version and section in sections:
            sections[section].setdefault(key, before)
    return tree


def _convert_valid_ranges(sources: list[Any]) -> None:
    for source in sources:
        bands = source.get("bands") if isinstance(source, dict) else None
        for band in bands if isinstance(bands, list) else []:
            inverse = _AS_STORED.get(str(band.get("scaling"))) if isinstance(band, dict) else None
            valid_range = band.get("valid_range") if inverse else None
            if inverse and isinstance(valid_range, list) and all(type(end) in (int, float) for end in valid_range):
                with np.errstate(over="ignore"):
                    band["valid_range"] = [float(inverse(np.float64(end))) for end in valid_range]


def new_names(names: Iterable[str], where: str = "") -> dict[str, str]:
    """Find the settings that are given under an old name, and log a warning that lists them.

    Args:
        names: dotted names as the user gave them.
        where: start of the error message.

    Returns:
        New name by old name.

    Raises:
        ValueError: a setting is given under its old and its new name.
    """
    names = list(names)
    renamed = {name: RENAMED[name] for name in names if name in RENAMED}
    for old, new in renamed.items():
        if new in names:
            raise ValueError(f"{where}{old} and {new} are the same setting, expected only {new}")
    if renamed:
        _warn_once("settings have new names: " + ", ".join(f"{old} is now {new}" for old, new in renamed.items()))
    return renamed


@cache
def _warn_once(message: str) -> None:
    logging.getLogger(__name__).warning(message)


def _pop_version(tree: dict[str, Any]) -> int:
    version = tree.pop("version", 1)
    if type(version) is not int or version < 1:
        raise ValueError(f"config.version is {printable_value(version)}, expected an integer of at least 1")
    if version > VERSION:
        raise ValueError(f"config.version is {version}, expected at most {VERSION}: a newer aef wrote this config")
    return version
