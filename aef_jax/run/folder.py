"""What lies in a run's folder, and how it is read back."""

from dataclasses import dataclass, replace
from pathlib import Path

from aef_jax.data.store.normalization import Normalization
from aef_jax.files.atomic import replacing
from configs.config import Config
from configs.mesh import MeshConfig
from configs.serialization.config_json import from_json, to_json


@dataclass(frozen=True)
class RunFolder:
    """`config.json`, `normalization.json`, `metrics.jsonl`, `checkpoints/`, `tensorboard/` and pictures."""

    path: Path

    @property
    def config_path(self) -> Path:
        return self.path / "config.json"

    @property
    def normalization_path(self) -> Path:
        return self.path / "normalization.json"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def profile(self) -> Path:
        return self.path / "profile"

    def picture(self, name: str) -> Path:
        return self.path / f"{name}.png"

    @property
    def started(self) -> bool:
        """Whether there is a run in it; the config is the last of what `start` writes."""
        return self.config_path.exists()

    def check(self, config: Config) -> None:
        """Raises ValueError where the folder holds another run than one of `config`, or is none."""
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file, expected the folder of a run")
        if self.started and _computed(self.read_config()) != _computed(config):
            raise ValueError(f"{self.path} holds a run with another config: give a new folder with --run")

    def start(self, config: Config, normalization: Normalization) -> None:
        """Makes the folder and writes what a run is started from; or, where that is there, how it goes on."""
        if not self.started:
            normalization.save(self.normalization_path)
        elif self.read_config() == config:
            return
        with replacing(self.config_path) as temporary:
            temporary.write_text(to_json(config))

    def read_config(self) -> Config:
        """Raises ValueError, naming the file, where there is none or it is not a config."""
        if not self.started:
            raise ValueError(f"{self.path} is not the folder of a run: it has no config.json")
        try:
            return from_json(self.config_path.read_text())
        except ValueError as error:
            raise ValueError(f"{self.config_path}: {error}") from None

    def read_normalization(self) -> Normalization:
        return Normalization.load(self.normalization_path)


def _computed(config: Config) -> Config:
    """What decides the numbers: the data may have moved since, and other devices compute them in another way."""
    return replace(
        config,
        data=replace(config.data, path="", workers=0, threads=1),
        mesh=MeshConfig(),
        model=replace(config.model, remat="none", block_loop="scan"),
    )
