"""A procedural planet: the test bench for sources that no package ships. All of it is made up (see `planet`)."""

from aef_jax.data.synthetic.planet import PlanetSite, planet_site
from aef_jax.data.synthetic.texts import TextRow

__all__ = ["PlanetSite", "TextRow", "planet_site"]
