"""Training and validation examples drawn from sites: every random choice of a step is made here."""
