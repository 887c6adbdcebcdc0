"""Replace the records of a training set, which is complete on disk at every instant."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from tqdm import tqdm

from aef_jax.data.store.dataset import DESCRIPTION, Dataset
from aef_jax.data.store.record import encode
from aef_jax.data.store.records import SPLITS, Split
from aef_jax.data.store.shards import OpenShards, moved_shards, remove_strays
from aef_jax.data.store.site import Site
from aef_jax.files.atomic import replace_file, temporary_folder


def rewrite(dataset: Dataset, change: Callable[[Split, int, Site], Site], text_width: int, text_model: str) -> Dataset:
    """Replace each record of a data set.

    Memory holds one record. New shards are written beside the old ones, under other names; the data set is the new one
    from the instant that `dataset.json` is replaced. The old shards are then removed, so no run may be reading them.
    Other files of the folder are not touched. The result has the current version of the format.

    Args:
        dataset: the data set.
        change: returns the new site for a record's split, index and site. It may not change a series, so splits, order,
            statistics and the summaries of sources stay as they are.
        text_width: numbers in a sentence embedding.
        text_model: name of the language model that embedded the text.

    Returns:
        The new data set.
    """
    remove_strays(dataset)
    with temporary_folder(dataset.path / "rewritten") as temporary, closing(OpenShards(temporary)) as shards:
        counted = replace(dataset, text_points=0, smallest=None, labels={})
        with tqdm(total=sum(len(dataset.records(split)) for split in SPLITS), desc="records", unit="record") as bar:
            for split in SPLITS:
                records = dataset.records(split)
                for index in range(len(records)):
                    site = change(split, index, records[index])
                    counted = counted.count_site(site)
                    shards.write(split, site, encode(site))
                    bar.update()
        shards.close()
        width = text_width if counted.text_points else 0
        written = replace(counted, shards=shards.describe(), text_width=width, text_model=text_model)
        with moved_shards(temporary, dataset.path, written.shards) as moved:
            written = replace(written, shards=moved)
            with replace_file(dataset.path / DESCRIPTION) as file:
                file.write_text(written.to_json())
    for shard in (shard for split in SPLITS for shard in dataset.shards[split]):
        (dataset.path / shard.file).unlink(missing_ok=True)
    return written
