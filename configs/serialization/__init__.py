"""Configs as JSON, and overrides of their fields by dotted name."""
