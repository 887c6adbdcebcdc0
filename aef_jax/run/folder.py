"""The files of a run's folder, and how they are read back."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aef_jax.data.store.normalization import Normalization
from aef_jax.files.atomic import replace_file
from configs.config import Config
from configs.serialization.changeable import SCHEDULE, fixed_settings
from configs.serialization.config_json import from_json, to_json
from configs.serialization.differences import changes_between, shown
from configs.serialization.read_file import read_text

CONFIG_FILE = "config.json"
NORMALIZATION_FILES = ("normalization.json", "normalisation.json")
"""Names of the file with the statistics: of today, and in version 1 of the format."""
_MAX_DIFFERENCES = 5
"""Settings that a message lists."""


@dataclass(frozen=True)
class RunFolder:
    """`config.json`, `normalization.json`, `metrics.jsonl`, `checkpoints/`, `tensorboard/` and pictures."""

    path: Path

    @property
    def config_path(self) -> Path:
        """The run's config as JSON."""
        return self.path / CONFIG_FILE

    @property
    def normalization_path(self) -> Path:
        """Means and deviations of the training data."""
        current, old = (self.path / name for name in NORMALIZATION_FILES)
        return old if old.exists() else current

    @property
    def metrics_path(self) -> Path:
        """One line of JSON for each record of the training's metrics."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """A folder for each checkpoint, named for its step."""
        return self.path / "checkpoints"

    @property
    def set_aside(self) -> Path:
        """Checkpoints that are later than the one to which the run went back."""
        return self.path / "set_aside"

    @property
    def tensorboard(self) -> Path:
        """The metrics as TensorBoard reads them."""
        return self.path / "tensorboard"

    @property
    def profile(self) -> Path:
        """Traces of profiled steps."""
        return self.path / "profile"

    @property
    def changes_path(self) -> Path:
        """One line of JSON for each setting that changed when the run went on."""
        return self.path / "changes.jsonl"

    @property
    def init_path(self) -> Path:
        """Which weights of another run this one began with, see `aef_jax.run.warm_start`."""
        return self.path / "init.json"

    def picture(self, name: str) -> Path:
        """Return the path of a picture.

        Args:
            name: name of the picture, such as `losses`.

        Returns:
            The path of its PNG.
        """
        return self.path / f"{name}.png"

    @property
    def started(self) -> bool:
        """Whether the folder holds a run. `start` writes the config last."""
        return self.config_path.exists()

    def require_same_run(self, config: Config, schedule_may_change: bool = True) -> None:
        """Refuse to continue a run under a config with other settings than those of `configs.serialization.changeable`.

        Args:
            config: the config that is asked for.
            schedule_may_change: whether the learning rate's schedule may differ. A command that does not name the run
                would change it by accident.

        Raises:
            ValueError: the folder holds a run of another config, or is a file.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file, expected the folder of a run")
        if not self.started:
            return
        trees = (fixed_settings(each, schedule_may_change) for each in (self.read_config(), config))
        changes = list(changes_between("", *trees))
        differences = [f"{name} is {shown(old)} in the folder and {shown(new)} here" for name, old, new in changes]
        if differences:
            number = len(differences) - _MAX_DIFFERENCES
            more = f", and {number} more differ" if number > 0 else ""
            can_change = any(name in SCHEDULE for name, *_ in changes)
            hint = f"; aef train {self.path} --SETTING VALUE changes the schedule" if can_change else ""
            raise ValueError(
                f"{self.path} holds a run with another config: {', '.join(differences[:_MAX_DIFFERENCES])}{more};"
                f" give a new folder with --run{hint}"
            )

    def start(self, config: Config, normalization: Normalization, done: int = 0) -> list[str]:
        """Write the files that a run starts from, or, in a run's folder, the config under which it continues.

        Args:
            config: the run's config.
            normalization: the run's statistics, which are written if there is no run yet.
            done: steps done, from which a changed config counts.

        Returns:
            A description of each changed setting, which `changes.jsonl` records.

        Raises:
            ValueError: the run has done more steps than the config asks for.
        """
        changes = []
        if not self.started:
            normalization.save(self.normalization_path)
        else:
            if done > config.training.steps:
                raise ValueError(f"{self.path} has done {done} steps, and training.steps is {config.training.steps}")
            before = self.read_config()
            if before == config:
                return []
            changes = list(changes_between("", asdict(before), asdict(config)))
            for name, *values in changes:
                self.record_change(done, name, *values)
        with replace_file(self.config_path) as temporary:
            temporary.write_text(to_json(config))
        return [f"{name} is {shown(after)} from step {done} on, was {shown(before)}" for name, before, after in changes]

    def record_change(self, done: int, name: str, before: Any, after: Any) -> None:
        """Append a line to `changes.jsonl`.

        Args:
            done: steps done.
            name: what changed, such as the dotted name of a setting.
            before: its value until now, of a type that JSON knows.
            after: its value from now on.
        """
        line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "step": done, "name": name}
        with self.changes_path.open("a") as file:
            file.write(json.dumps(line | {"before": before, "after": after}) + "\n")

    def read_config(self) -> Config:
        """Read the run's config.

        Returns:
            The config.

        Raises:
            ValueError: there is no config, or it is invalid; the message names the file.
        """
        if not self.started:
            raise ValueError(f"{self.path} is not the folder of a run: it has no {CONFIG_FILE}")
        try:
            return from_json(read_text(self.config_path))
        except ValueError as error:
            raise ValueError(f"{self.config_path}: {error}") from None

    def read_normalization(self) -> Normalization:
        """Read the run's statistics.

        Returns:
            Means and deviations by source.

        Raises:
            ValueError: the file is missing or invalid; the message names it.
        """
        return Normalization.load(self.normalization_path)
