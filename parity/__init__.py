"""Weights across frameworks, and proof that both compute the same thing."""
