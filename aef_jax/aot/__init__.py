"""`aef compile`: compile the real training step for a machine that is absent and report what it costs there."""
