"""The procedural planet's ground, climate and weather."""
