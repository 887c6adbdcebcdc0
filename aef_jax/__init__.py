"""AlphaEarth Foundations in JAX: the model in Flax NNX, its training, and embedding fields from it."""
