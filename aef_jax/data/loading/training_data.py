"""What a run trains on, and what it is evaluated on: the sample, or a data set in a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

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
from aef_jax.data.store.site import Site
from aef_jax.data.store.statistics import normalization_of
from configs.config import Config
from configs.source import Source

Heldout = Mapping[str, Sequence[ValidationExample]]
"""By kind: "heldout" (other ground) and, on the sample, "heldout_dates" (other ground and dates)."""


@dataclass(frozen=True)
class TrainingData:
    """All sites as they are stored; they are scaled and z-scored as they are drawn from."""

    training: Sequence[Site]
    validation: Heldout
    schema: DatasetSchema
    pictured: Site
    """The site whose embedding field is drawn."""

    @property
    def data_fingerprint(self) -> dict[str, Any]:
        """What must be the same where a run goes on, for JSON."""
        names = [source.name for source in self.schema.sources]
        return {"records": len(self.training), "sources": names, "text_width": self.schema.text_width}


def open_data(config: Config, normalization: Normalization | None = None) -> TrainingData:
    """The data that `data.path` names, under the statistics of the run that goes on, or their own.

    Raises ValueError where they hold no input of the config, or their text does not fit the model.
    """
    if not config.data.path:
        whole = load_sample()
        return sample_data(config, whole, split_sample(whole), normalization)
    return dataset_data(config, Dataset.open(Path(config.data.path)), normalization)


def sample_data(
    config: Config, whole: Site, split: SampleSplit, normalization: Normalization | None = None
) -> TrainingData:
    """A site's years, part of them held out."""
    schema = _sample_holdings(config, split, normalization)
    times = {"heldout": split.seen_ms, "heldout_dates": split.heldout_ms}
    validation = {kind: validation_examples(split.validation, schema, ms, config) for kind, ms in times.items()}
    return TrainingData((split.training,), validation, schema, whole)


def dataset_data(config: Config, dataset: Dataset, normalization: Normalization | None = None) -> TrainingData:
    """The records of a folder; without held-out ones there is nothing to evaluate on.

    Raises ValueError where they do not fit the config.
    """
    if normalization is not None and normalization.as_table() != dataset.normalization.as_table():
        raise ValueError(f"data set {dataset.path}: its statistics are not those that the run began with")
    schema = _holdings(config, dataset, normalization)
    training, validation = dataset.records("training"), dataset.records("validation")
    kinds = {"heldout": validation_example_of_each(validation, schema, config)} if len(validation) else {}
    return TrainingData(training, kinds, schema, _pictured(validation if len(validation) else training, schema))


def open_examples(config: Config) -> HostExamples:
    """All examples of a run, as one host would read them, and nothing of what it is evaluated on.

    Raises ValueError as `open_data` does.
    """
    if not config.data.path:
        split = split_sample(load_sample())
        return HostExamples((split.training,), _sample_holdings(config, split, None), config)
    dataset = Dataset.open(Path(config.data.path))
    return HostExamples(dataset.records("training"), _holdings(config, dataset, None), config)


def _sample_holdings(config: Config, split: SampleSplit, normalization: Normalization | None) -> DatasetSchema:
    sources = _in_use(config, set(split.validation.series), f"site {split.validation.name}")
    return DatasetSchema(sources, normalization or normalization_of([split.training], sources))


def _holdings(config: Config, dataset: Dataset, normalization: Normalization | None) -> DatasetSchema:
    """What every example of a data set holds. Raises ValueError where it does not fit the config."""
    normalization = normalization or dataset.normalization
    # a continuous source of which no training record shows a pixel has no statistics, and cannot be trained on
    classes = {source.name for source in config.sources if source.kind == "classes"}
    shown = {name for name, stored in dataset.sources.items() if stored.valid_pixels}
    sources = _in_use(config, shown & (classes | normalization.mean.keys()), f"data set {dataset.path}")
    for source in sources:
        if dataset.sources[source.name].bands != tuple(band.name for band in source.bands):
            raise ValueError(
                f"data set {dataset.path}, source {source.name}: its bands are"
                f" {list(dataset.sources[source.name].bands)}, expected {[band.name for band in source.bands]}"
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


def _pictured(sites: Sequence[Site], schema: DatasetSchema) -> Site:
    """The first site that the evaluated source shows; or the first."""
    name = evaluated_source(schema).name
    shown = (site for site in sites if name in site.series and len(site.series[name].time_ms))
    return next(shown, sites[0])


def find_site(config: Config, name: str | None) -> Site:
    """A site of the data that `data.path` names, by its name; by default the first held-out one, or the sample.

    Raises ValueError where there is none of that name.
    """
    if not config.data.path:
        sites: list[Sequence[Site]] = [(load_sample(),)]
    else:
        dataset = Dataset.open(Path(config.data.path))
        sites = [dataset.records("validation"), dataset.records("training")]
    for site in chain(*sites):
        if name in (None, site.name):
            return site
    raise ValueError(f"{config.data.path or 'the sample'}: there is no site {name!r}")


def _in_use(config: Config, names: set[str], where: str) -> tuple[Source, ...]:
    sources = tuple(source for source in config.decoded_sources if source.name in names)
    if not any(source.is_input for source in sources):
        inputs = [source.name for source in config.input_sources]
        raise ValueError(f"{where}: it shows pixels of {sorted(names)}, expected some of the inputs {inputs}")
    return sources
