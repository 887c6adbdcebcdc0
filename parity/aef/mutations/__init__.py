"""Realistic faults of a port, one at a time: what the suite must catch and a bisection must find."""
