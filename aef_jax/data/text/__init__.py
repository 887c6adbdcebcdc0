"""Texts about places: tables of them, and their sentence embeddings."""
