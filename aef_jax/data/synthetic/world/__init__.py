"""Draw the procedural planet's ground, climate and weather."""
