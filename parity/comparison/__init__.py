"""Comparing what both models computed, and finding where they part."""
