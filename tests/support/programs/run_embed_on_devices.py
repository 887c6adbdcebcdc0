"""Embed an area on one of three devices, and on all of them; print how far the fields are apart."""

from functools import partial

import jax
import numpy as np
from flax import nnx

from aef_jax.inference.embed import CompiledEmbed
from aef_jax.model.alphaearth import AlphaEarth
from configs.fields.tiling import Area, embed_area
from tests.aef_jax.inference.test_packing import CONFIG, YEAR, make_stacks


def main() -> None:
    """Print the number of devices, and the largest difference of two fields of six tiles."""
    params = nnx.state(AlphaEarth(CONFIG, rngs=nnx.Rngs(0)))
    area = Area(make_stacks({"sentinel2": 20, "landsat": 5}, side=52), [YEAR], YEAR)
    fields = []
    for devices in (jax.devices()[:1], jax.devices()):
        embed = CompiledEmbed(CONFIG, devices)
        fields.append(embed_area(partial(embed, embed.place(params)), area, CONFIG, batch=5))
    print(len(jax.devices()), np.abs(fields[0] - fields[1]).max())


if __name__ == "__main__":
    main()
