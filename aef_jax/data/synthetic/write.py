"""`aef data make-planet`: a planet's sites as a training set, with their land cover as labels and a table of texts."""

import csv
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from aef_jax.data.store.writer import DatasetWriter
from aef_jax.data.synthetic.planet import planet_site
from configs.sources import SOURCES
from configs.validate import require_at_least, require_fraction, require_multiple

TEXTS = "points.csv"
"""In the folder, for `aef data add-text`: lon, lat, start, end, text."""


def write_planet(folder: Path, sites: int, side: int, validation: float, seed: int) -> None:
    """Writes so many sites of `side` x `side` pixels, a share of them held out. Same arguments, same planet.

    The latent land cover lies in every record as its labels. A planet is a test bench: no score on it says anything of
    the Earth.

    Raises ValueError where `folder` exists or a number is out of range.
    """
    require_at_least("make-planet", "sites", sites, 2)
    require_multiple("make-planet", "side", side, of=16)
    require_fraction("make-planet", "validation", validation)
    with DatasetWriter(folder, SOURCES) as writer, (writer.temporary / TEXTS).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["lon", "lat", "start", "end", "text"])
        for index in tqdm(range(sites), "sites", unit="site"):
            made = planet_site(seed, index, side)
            # held-out sites are spread evenly over all
            site = replace(made.site, labels=made.landcover)
            writer.add(site, "validation" if int((index + 1) * validation) > int(index * validation) else "training")
            table.writerows([(t.longitude, t.latitude, t.start, t.end, t.text) for t in made.texts])
