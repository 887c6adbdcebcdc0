"""`aef compile`: the real training step, compiled for a machine that is not there, and what it would cost on it."""
