"""Configs as JSON, overrides of settings by dotted name, and their help."""
