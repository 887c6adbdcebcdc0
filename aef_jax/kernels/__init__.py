"""Operations that a device needs written by hand, each beside its reference in plain JAX."""
