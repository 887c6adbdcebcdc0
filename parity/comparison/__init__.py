"""Measure how far two models are apart, and find the sub-module that causes a difference."""
