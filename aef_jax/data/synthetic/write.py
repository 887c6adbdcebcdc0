"""`aef data make-planet`: write a planet's sites as a data set, with land cover as labels, and a table of texts."""

import csv
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from aef_jax.data.store.writer import DatasetWriter
from aef_jax.data.synthetic.planet import planet_site
from configs.sources import SOURCES
from configs.validate import require_at_least, require_fraction, require_multiple

TEXTS_NAME = "points.csv"
"""File in the folder for `aef data add-text`, with the columns lon, lat, start, end, text."""


def write_planet(folder: Path, sites: int, side: int, validation: float, seed: int) -> None:
    """Write a planet as a data set. The same arguments give the same planet.

    The labels of each record are the latent land cover. A planet is a test bench: no score on it says anything about
    the Earth.

    Args:
        folder: to write; it must not exist.
        sites: number of sites.
        side: pixels along each side of a site.
        validation: share of the sites in the validation split.
        seed: of the planet.

    Raises:
        ValueError: if `folder` exists or a number is out of range.
    """
    require_at_least("make-planet", "sites", sites, 2)
    require_multiple("make-planet", "side", side, of=16)
    require_fraction("make-planet", "validation", validation)
    with DatasetWriter(folder, SOURCES) as writer, (writer.temporary / TEXTS_NAME).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["lon", "lat", "start", "end", "text"])
        for index in tqdm(range(sites), "sites", unit="site"):
            planet = planet_site(seed, index, side)
            # spread the validation sites evenly over all
            site = replace(planet.site, labels={"landcover": planet.landcover})
            writer.add(site, "validation" if int((index + 1) * validation) > int(index * validation) else "training")
            table.writerows([(t.longitude, t.latitude, t.start, t.end, t.text) for t in planet.texts])
