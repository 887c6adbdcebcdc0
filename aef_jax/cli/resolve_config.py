"""Find the config that a command line names."""

from dataclasses import replace
from pathlib import Path

from configs.config import Config
from configs.presets import PRESETS
from configs.serialization.config_json import from_json, nearest
from configs.serialization.overrides import override
from configs.serialization.read_file import read_text


def resolve(what: str, settings: list[str]) -> tuple[Config, Path]:
    """Find a config and apply settings to it.

    Args:
        what: name of a preset, a config file, or the folder of a run.
        settings: words such as `--training.steps 200`.

    Returns:
        The config, and the default folder of its run.

    Raises:
        ValueError: there is no such preset, file or run, it has no valid config, or a setting is not valid.
    """
    path = Path(what)
    if what in PRESETS:
        return override(PRESETS[what], settings), Path("runs") / what
    if path.is_dir():
        from aef_jax.run.folder import RunFolder

        return override(RunFolder(path).read_config(), settings), path
    if path.is_file():
        try:
            config = from_json(read_text(path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        return override(config, settings), Path("runs") / path.stem
    raise ValueError(f"{what!r} is no preset, config file or run's folder; {nearest(what, list(PRESETS))}")


def with_data(config: Config, folder: Path | None) -> Config:
    """Set the folder of a config's data set, as an absolute path.

    Args:
        config: any config.
        folder: folder of a data set; None keeps the config's own.

    Returns:
        The config with an absolute path, or an empty one for the sample.

    Raises:
        ValueError: the folder is an address, as of a bucket.
    """
    path = str(folder or config.data.path)
    validate_local(path)
    return replace(config, data=replace(config.data, path=str(Path(path).absolute()))) if path else config


def with_labels(config: Config, labels: Path | None) -> Config:
    """Set the labels that a run is evaluated at, as an absolute path.

    Args:
        config: any config.
        labels: file of labels; None keeps the config's own.

    Returns:
        The config with an absolute path, or an empty one for none.
    """
    path = str(labels or config.training.evaluate_labels)
    absolute = str(Path(path).absolute()) if path else ""
    return replace(config, training=replace(config.training, evaluate_labels=absolute))


def validate_local(name: str) -> None:
    """Refuse addresses, as of buckets, which Path would treat as local names.

    Args:
        name: any word of a command line.

    Raises:
        ValueError: the word is an address.
    """
    if "://" in name:
        raise ValueError(f"{name!r} is an address, expected a file or folder: mount it first (gcsfuse, Filestore)")
