"""The data of a run: what it trains on and what it is evaluated on, from the sample or from a data set in a folder."""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from aef_jax.data.build.sample_cube import SampleSplit, load_sample, split_sample
from aef_jax.data.loading.pipeline import HostExamples
from aef_jax.data.sampling.examples import DatasetSchema
from aef_jax.data.sampling.validation import (
    ValidationExample,
    evaluated_source,
    validation_example_of_each,
    validation_examples,
)
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.records import SPLITS, Split
from aef_jax.data.store.site import Site
from aef_jax.data.store.statistics import normalization_of
from configs.config import Config
from configs.source import Source

LEVELS = "levels"
"""Key of the processing levels in a data set's fingerprint, which checkpoints hold."""


@dataclass(frozen=True)
class TrainingData:
    """The sites of a run as they are stored. They are scaled and z-scored when an example is drawn."""

    training: Sequence[Site]
    validation: Mapping[str, Sequence[ValidationExample]]
    """By kind: "validation" (other ground) and, on the sample, "validation_dates" (other ground and dates)."""
    schema: DatasetSchema
    pictured: Site
    """The site whose embedding field is drawn."""
    levels: Mapping[str, str] = field(default_factory=dict)
    """Processing level of each source of which it is known."""
    weights: Float64[np.ndarray, "N"] | None = None
    """How often each training site is drawn, relative to others; None if all are drawn alike."""
    remarks: tuple[str, ...] = ()
    """Sentences to tell before a run begins: what it will not evaluate, read or learn."""

    @property
    def data_fingerprint(self) -> dict[str, Any]:
        """What must be the same when a run is resumed, as JSON values."""
        names = [source.name for source in self.schema.sources]
        # older data sets, and runs on them, have neither levels nor weights
        known = {LEVELS: dict(self.levels)} if self.levels else {}
        drawn = {} if self.weights is None else {"weights": f"crc32 {zlib.crc32(self.weights.tobytes()):08x}"}
        fixed = {"records": len(self.training), "sources": names, "text_width": self.schema.text_width}
        return fixed | known | drawn


def open_data(config: Config, normalization: Normalization | None = None) -> TrainingData:
    """Open the data that `data.path` names, or the sample.

    Args:
        config: the run's config.
        normalization: statistics of the run that is resumed. None: the data's own.

    Returns:
        The data.

    Raises:
        ValueError: the data hold no input of the config, or their text does not fit the model.
    """
    if not config.data.path:
        whole = load_sample()
        return sample_data(config, whole, split_sample(whole), normalization)
    return dataset_data(config, Dataset.open(Path(config.data.path)), normalization)


def sample_data(
    config: Config, whole: Site, split: SampleSplit, normalization: Normalization | None = None
) -> TrainingData:
    """Make a run's data from the sample.

    Args:
        config: the run's config.
        whole: the sample, which is pictured.
        split: its training and validation parts.
        normalization: statistics of the run that is resumed. None: those of the training part.

    Returns:
        The data.

    Raises:
        ValueError: the sample holds no input of the config.
    """
    schema = _sample_schema(config, split, normalization)
    times = {"validation": split.seen_ms, "validation_dates": split.unseen_ms}
    validation = {kind: validation_examples(split.validation, schema, ms, config) for kind, ms in times.items()}
    return TrainingData((split.training,), validation, schema, whole)


def dataset_data(config: Config, dataset: Dataset, normalization: Normalization | None = None) -> TrainingData:
    """Make a run's data from a data set. Without validation records there is nothing to evaluate on.

    Args:
        config: the run's config.
        dataset: the data set.
        normalization: statistics of the run that is resumed. None: the data set's own.

    Returns:
        The data.

    Raises:
        ValueError: the data set does not fit the config, a site is smaller than a tile, or its statistics are not those
            of the run.
    """
    if normalization is not None and normalization.as_table() != dataset.normalization.as_table():
        raise ValueError(f"data set {dataset.path}: its statistics differ from those that the run started with")
    schema = _dataset_schema(config, dataset, normalization)
    _validate_sizes(dataset, config.data.tile_side)
    training, sites = dataset.records("training"), dataset.records("validation")
    levels = {source.name: dataset.levels[source.name] for source in schema.sources if source.name in dataset.levels}
    weights, remarks = training.weights, tuple(_remarks(config, dataset, schema))
    if not len(sites):
        pictured = _first_shown(training, schema) or training[0]
        return TrainingData(training, {}, schema, pictured, levels, weights, remarks)
    examples = validation_example_of_each(sites, schema, config)
    pictured = _first_shown(map(examples.site, range(len(sites))), schema) or sites[0]
    return TrainingData(training, {"validation": examples}, schema, pictured, levels, weights, remarks)


def open_examples(config: Config) -> HostExamples:
    """Open all training examples of a run, as a single host would read them, and no validation data.

    Args:
        config: the run's config.

    Returns:
        The examples.

    Raises:
        ValueError: as `open_data` raises.
    """
    if not config.data.path:
        split = split_sample(load_sample())
        return HostExamples((split.training,), _sample_schema(config, split, None), config)
    dataset = Dataset.open(Path(config.data.path))
    records = dataset.records("training")
    return HostExamples(records, _dataset_schema(config, dataset, None), config, weights=records.weights)


def _sample_schema(config: Config, split: SampleSplit, normalization: Normalization | None) -> DatasetSchema:
    sources = _used_sources(config, set(split.validation.series), f"site {split.validation.name}")
    return DatasetSchema(sources, normalization or normalization_of([split.training], sources))


def _dataset_schema(config: Config, dataset: Dataset, normalization: Normalization | None) -> DatasetSchema:
    """Return what every example of a data set holds. Raises ValueError if the data set does not fit the config."""
    normalization = normalization or dataset.normalization
    # a continuous source without a valid pixel in training has no statistics, so it cannot be trained on
    classes = {source.name for source in config.sources if source.kind == "classes"}
    shown = {name for name, summary in dataset.sources.items() if summary.valid_pixels}
    sources = _used_sources(config, shown & (classes | normalization.mean.keys()), f"data set {dataset.path}")
    definitions = {definition.name: definition for definition in dataset.definitions}
    for source in sources:
        if dataset.sources[source.name].bands != tuple(band.name for band in source.bands):
            raise ValueError(
                f"data set {dataset.path}, source {source.name}: its bands are"
                f" {list(dataset.sources[source.name].bands)}, expected {[band.name for band in source.bands]}"
            )
        definition = definitions.get(source.name, source)
        if [band.scaling for band in source.bands] != [band.scaling for band in definition.bands]:
            raise ValueError(
                f"data set {dataset.path}, source {source.name}: the config scales its bands otherwise than the data"
                " set, whose statistics are of scaled values, expected the same scaling"
            )
    schema = DatasetSchema(
        sources, normalization, dataset.text_width if config.has_text and config.objective.text else 0
    )
    if schema.text_width not in (0, config.model.text_width):
        raise ValueError(
            f"data set {dataset.path}: its sentence embeddings have {schema.text_width} numbers, the model's text head"
            f" takes {config.model.text_width}: set --model.text_width {schema.text_width}"
        )
    if not sum(shard.records for shard in dataset.shards["training"]):
        raise ValueError(f"data set {dataset.path}: it has no training record, expected at least one")
    return schema


def _remarks(config: Config, dataset: Dataset, schema: DatasetSchema) -> Iterator[str]:
    """Yield what a run on a data set will not evaluate, read or learn."""
    where = f"data set {dataset.path}"
    if not dataset.shards["validation"]:
        yield f"{where}: it has no validation split, so the run is not evaluated and no checkpoint is the best"
    texts = {"text"} if dataset.text_points else set()
    unread = (dataset.sources.keys() | texts) - {source.name for source in config.sources}
    if unread:
        yield f"{where}: the model does not read its sources {', '.join(sorted(unread))}"
    used = {source.name for source in schema.sources} | texts
    lacking = [source.name for source in config.sources if source.name not in used]
    if lacking:
        yield f"{where}: it has no valid training pixel or text of the model's sources {', '.join(lacking)}"


def _validate_sizes(dataset: Dataset, side: int) -> None:
    """Raise ValueError if a site is smaller than a tile."""
    smallest = dataset.find_smallest()
    if min(smallest.shape) < side:
        height, width = smallest.shape
        raise ValueError(
            f"data set {dataset.path}: site {smallest.name} has {height} x {width} pixels, expected at least one tile"
            f" of {side} x {side}: write the data set without it, or set --data.tile_side"
        )


def _first_shown(sites: Iterable[Site], schema: DatasetSchema) -> Site | None:
    """Return the first site with a frame of the evaluated source; None if there is none."""
    name = evaluated_source(schema).name
    return next((site for site in sites if name in site.series and len(site.series[name].time_ms)), None)


def find_site(path: Path | None, name: str | None) -> Site:
    """Find a site of a data set, or the sample.

    Args:
        path: folder of the data set; None for the sample.
        name: of the site. None: the first validation site (or the first training site, if there is none).

    Returns:
        The site as stored.

    Raises:
        ValueError: no site has the name.
    """
    if path is None:
        sites: Iterable[Site] = (load_sample(),)
    else:
        dataset = Dataset.open(path)
        sites = chain.from_iterable(_candidates(dataset, split, name) for split in reversed(SPLITS))
    for site in sites:
        if name in (None, site.name):
            return site
    raise ValueError(f"{path or 'the sample'}: there is no site {name!r}")


def _candidates(dataset: Dataset, split: Split, name: str | None) -> Iterator[Site]:
    """Yield the records that may have a name: all of an older data set, which does not list names."""
    records, names = dataset.records(split), dataset.listed_names(split)
    for index in range(len(records)):
        if name is None or not names or names[index] == name:
            yield records[index]


def _used_sources(config: Config, names: set[str], where: str) -> tuple[Source, ...]:
    """Return the config's sources among `names`. Raises ValueError if none of them is an input."""
    sources = tuple(source for source in config.decoded_sources if source.name in names)
    if not any(source.is_input for source in sources):
        inputs = [source.name for source in config.input_sources]
        raise ValueError(f"{where}: it has valid pixels of {sorted(names)}, expected some of the inputs {inputs}")
    return sources
