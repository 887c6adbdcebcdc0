"""Map the parameters of a JAX model to those of a PyTorch model, and convert their layouts."""
