"""Contracts: tests that the implementations of both frameworks must pass."""
