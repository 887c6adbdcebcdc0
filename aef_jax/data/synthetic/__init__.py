"""A procedural planet: invented data of every source, to test sources that no package ships (see `planet`)."""

from aef_jax.data.synthetic.planet import PlanetSite, planet_site
from aef_jax.data.synthetic.texts import TextRow

__all__ = ["PlanetSite", "TextRow", "planet_site"]
