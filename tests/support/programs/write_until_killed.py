"""A program: writes a data set, or with the word append adds to one, and never finishes."""

import sys
import time
from pathlib import Path

from aef_jax.data.store.writer import DatasetWriter
from tests.support.data.small_dataset import small_sites
from tests.support.data.small_site import CONFIG

append = sys.argv[2:] == ["append"]
with DatasetWriter(Path(sys.argv[1]), CONFIG.decoded_sources, shard_bytes=1, append=append) as writer:
    for site in small_sites(3, first_seed=7):
        writer.add(site)
    print("in the middle", flush=True)
    time.sleep(600)
