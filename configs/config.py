"""The whole configuration of a run."""

from dataclasses import dataclass, field

from configs.data import DataConfig
from configs.mesh import MeshConfig
from configs.model import PIXELS_PER_TIME_CELL, ModelConfig
from configs.objective import ObjectiveConfig
from configs.serialization.printable import printable_value
from configs.source import Source
from configs.sources import SOURCES
from configs.training import TrainingConfig
from configs.validate import require, require_multiple


@dataclass(frozen=True)
class Config:
    """The settings of a run, which it also writes to `config.json` in its folder."""

    sources: tuple[Source, ...] = SOURCES
    """Sensors and maps that the model encodes and reconstructs."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Sizes of the model, and how it is computed."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """Weights of the loss's terms."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """Optimizer, batch, evaluation and checkpoints."""
    data: DataConfig = field(default_factory=DataConfig)
    """Which data to train on, and how examples are cut out of it."""
    mesh: MeshConfig = field(default_factory=MeshConfig)
    """Devices along each axis of the mesh."""

    def __post_init__(self):
        names = [source.name for source in self.sources]
        require(len(set(names)) == len(names), f"sources: a name is there twice in {printable_value(names)}")
        require(bool(self.input_sources), f"sources: none of {names} is an input, expected at least one")
        side, seq = self.data.tile_side, self.mesh.seq
        require_multiple(f"mesh: seq is {seq}; data", "tile_side", side, of=seq * PIXELS_PER_TIME_CELL)
        terms = self.objective
        require(
            not terms.reconstruction or any(source.weight for source in self.decoded_sources),
            f"sources: the weight of each of {names} is 0, expected one above 0, or objective.reconstruction 0 too",
        )
        require(
            bool(terms.reconstruction or terms.uniformity or terms.consistency or self.has_text),
            f"objective: text alone has a weight, but none of the sources {names} is text",
        )

    @property
    def input_sources(self) -> tuple[Source, ...]:
        """Sources that the encoder sees, in the order of their frames along T."""
        return tuple(source for source in self.sources if source.is_input)

    @property
    def decoded_sources(self) -> tuple[Source, ...]:
        """Sources with a decoder: all but texts."""
        return tuple(source for source in self.sources if source.kind != "text")

    @property
    def has_text(self) -> bool:
        """Whether one of the sources is text."""
        return any(source.kind == "text" for source in self.sources)
