"""Embedding fields with the PyTorch model."""
