"""Simulate how each sensor or product records the procedural planet."""
