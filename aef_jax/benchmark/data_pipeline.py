"""Time the data pipeline and its parts: `python -m aef_jax.benchmark.data_pipeline DIR [--preset tiny] [--run RUN]`.

The least that an example costs is to read, decompress and decode its record; decoding copies nothing. The rest of its
cost is drawing: selecting frames, scaling and z-scoring them. With `--run`, the rates are compared with the rate at
which a training run on the same machine consumed examples.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from aef_jax.cli.resolve_config import resolve, with_data
from aef_jax.console.tables import format_table
from aef_jax.data.loading.pipeline import training_batches
from aef_jax.data.loading.training_data import open_examples
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.record import decode
from aef_jax.run.folder import RunFolder
from configs.config import Config
from configs.serialization.printable import print_lines

NUM_TIMED = 96
"""Number of examples that are timed together."""
SPEED = "sequences_per_second"
REPEATS = 3
"""Number of timings of each measurement; the result is their median."""


def main() -> None:
    """Print a table of rates in sequences per second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--preset", default="tiny", metavar="PRESET|CONFIG.json|RUN")
    parser.add_argument("--run", type=Path, help="a run whose rate is compared")
    options = parser.parse_args()
    config = with_data(resolve(options.preset, [])[0], options.folder)
    records = Dataset.open(options.folder).records("training")
    numbers = [index % len(records) for index in range(NUM_TIMED)]
    blobs = [records.source[index] for index in numbers[:8]]
    mebibytes = statistics.mean(map(len, blobs)) / 2**20

    examples = open_examples(config)
    rows = {
        f"read and decompress ({mebibytes:.1f} MiB each)": (records.source[index] for index in cycle(numbers)),
        "decode": (decode(blobs[index % len(blobs)], "") for index in cycle(numbers)),
        "read, decode and draw, one thread": (examples[index] for index in cycle(numbers)),
    }
    rates = {name: NUM_TIMED / _seconds(work, NUM_TIMED) for name, work in rows.items()}
    pipelines = {f"pipeline, {number} threads": {"threads": number, "workers": 0} for number in (1, 2, 4)}
    pipelines |= {f"pipeline, {number} workers": {"workers": number} for number in (1, 2, 4)}
    rates |= {name: _pipeline_rate(config, readers) for name, readers in pipelines.items()}
    consumed = _consumed(RunFolder(options.run)) if options.run else None
    if consumed is not None:
        rates[f"training ({options.run})"] = consumed
    print_lines(
        "\n".join(format_table([("", "sequences/s"), *((name, f"{rate:.1f}") for name, rate in rates.items())], "<>"))
    )
    if consumed is not None:
        fastest = max(rates[name] for name in pipelines)
        print_lines(f"the pipeline alone delivers {fastest / consumed:.1f} times what training consumes")


def _pipeline_rate(config: Config, readers: dict[str, int]) -> float:
    config = replace(config, data=replace(config.data, **readers))
    number = -(-NUM_TIMED // config.training.batch)
    with closing(training_batches(open_examples(config))) as batches:
        for _ in range(2):  # until all readers have started
            next(batches)
        return number * config.training.batch / _seconds(batches, number)


def _seconds(work: Iterator[object], number: int) -> float:
    """Time `number` items of an iterator. No item is kept, because examples may be large."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(number):
            next(work)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _consumed(run: RunFolder) -> float:
    """Return the median rate of a run's steps in sequences per second."""
    records = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    return statistics.median(record[SPEED] for record in records if SPEED in record)


if __name__ == "__main__":
    main()
