"""Losses, optimizer and training step in PyTorch (mirror: aef_jax/training)."""
