"""Draw training and validation examples from sites; every random choice of a step is made here."""
