"""Embedding fields on disk, one module per file format."""
