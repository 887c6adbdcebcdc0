"""Compute embedding fields and write them to files."""
