"""Estimate what a training step costs on a chip, from formulas."""
