"""`python -m aef_jax.benchmark`: time JAX and PyTorch, eager and compiled, on the same inputs and the same device."""
