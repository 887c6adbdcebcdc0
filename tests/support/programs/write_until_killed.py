"""A program: writes a data set and never finishes."""

import sys
import time
from pathlib import Path

from aef_jax.data.store.writer import DatasetWriter
from tests.support.data.small_dataset import small_sites
from tests.support.data.small_site import CONFIG

with DatasetWriter(Path(sys.argv[1]), CONFIG.decoded_sources, shard_bytes=1) as writer:
    for site in small_sites(3):
        writer.add(site)
    print("in the middle", flush=True)
    time.sleep(600)
