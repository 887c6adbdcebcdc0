"""Add texts about places to a data set: their tables and sentence embeddings."""
