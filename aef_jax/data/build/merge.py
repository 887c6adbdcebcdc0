"""`aef data merge`: one data set of the records of several, such as the parts that an array job built."""

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from aef_jax.data.build.rejects import REJECTS_NAME, read_rejects, write_rejects
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.records import SPLITS
from aef_jax.data.store.summary import join_levels
from aef_jax.data.store.writer import DatasetWriter
from configs.serialization.printable import printable
from configs.source import Source


def merge_datasets(output: Path, inputs: Sequence[Path], mixed_levels: bool = False) -> Dataset:
    """Write a data set of all records of others, in their order. Memory holds one record.

    The result is that of writing the records in one piece, to the bit. `rejects.csv` are joined; what several have is
    listed once. Other files of the folders are not copied.

    Args:
        output: folder of the new data set. It must not exist.
        inputs: folders of data sets, of this version of the format or older.
        mixed_levels: whether frames of one source may be of several processing levels.

    Returns:
        The new data set.

    Raises:
        ValueError: two have a site of the same name, differ in a source or in the language model of their text, or a
            record cannot be read. Nothing is written then.
    """
    datasets = [Dataset.open(path) for path in inputs]
    _require_own_names(datasets)
    sources = _shared_sources(datasets, mixed_levels)
    levels = {name: join_levels(d.sources[name].level for d in datasets if name in d.sources) for name in sources}
    text_model = _shared_text_model(datasets)
    rejects = dict.fromkeys(reject for path in inputs for reject in read_rejects(path))
    total = sum(shard.records for dataset in datasets for split in SPLITS for shard in dataset.shards[split])
    with (
        DatasetWriter(output, tuple(sources.values()), levels=levels, text_model=text_model) as writer,
        tqdm(total=total, desc="records", unit="record") as bar,
    ):
        for split in SPLITS:
            for dataset in datasets:
                for site in dataset.records(split):
                    writer.add(site, split)
                    bar.update()
        if any((path / REJECTS_NAME).exists() for path in inputs):
            write_rejects(writer.temporary, rejects)
    return Dataset.open(output)


def _require_own_names(datasets: list[Dataset]) -> None:
    """Raise ValueError if two data sets have a site of the same name."""
    first: dict[str, Dataset] = {}
    for dataset in datasets:
        for name in dataset.site_names():
            other = first.setdefault(name, dataset)
            if other is not dataset:
                raise ValueError(f"{other.path} and {dataset.path} both have a site {name!r}, expected it in one")


def _shared_sources(datasets: list[Dataset], mixed_levels: bool) -> dict[str, Source]:
    """Return the rows of all sources. Raises ValueError if two data sets mean different things by a name."""
    rows: dict[str, tuple[Dataset, Source]] = {}
    for dataset in datasets:
        definitions = {source.name: source for source in dataset.definitions}
        for name, summary in dataset.sources.items():
            if name not in definitions:
                raise ValueError(f"{dataset.path}: it has no row of its source {name}, nor has this project")
            row = definitions[name]
            other, first = rows.setdefault(name, (dataset, row))
            for what, before, now in (
                ("bands or metadata", first.record_form, row.record_form),
                ("dtype", other.sources[name].dtype, summary.dtype),
            ):
                if before != now:
                    raise ValueError(
                        f"{other.path} and {dataset.path} differ in the {what} of the source {name}, expected the same"
                    )
            levels = [other.sources[name].level, summary.level]
            if levels[0] != levels[1] and not mixed_levels:
                raise ValueError(
                    f"{other.path} and {dataset.path} have source {name} of the processing levels {levels}, expected"
                    " one, or --mixed-levels"
                )
    return {name: row for name, (_, row) in rows.items()}


def _shared_text_model(datasets: list[Dataset]) -> str:
    """Return the language model of the text. Raises ValueError if two data sets have text of different ones."""
    with_text = [dataset for dataset in datasets if dataset.text_points]
    for dataset in with_text:
        first = with_text[0]
        if (dataset.text_model, dataset.text_width) != (first.text_model, first.text_width):
            models = " and ".join(f"{printable(d.text_model) or 'unknown'} ({d.text_width})" for d in (first, dataset))
            raise ValueError(
                f"{first.path} and {dataset.path} have text of the models {models}, expected the same model"
            )
    return with_text[0].text_model if with_text else ""
