"""Checkpoints of AEF from one framework to the other."""
