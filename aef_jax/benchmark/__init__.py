"""`python -m aef_jax.benchmark`: JAX beside PyTorch, eager and compiled, on the same numbers and the same device."""
