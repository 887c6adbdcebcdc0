"""Operations written by hand for a device, each with a reference in plain JAX."""
