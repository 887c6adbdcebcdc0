"""The model in PyTorch (mirror: aef_jax/model)."""
