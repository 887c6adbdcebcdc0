"""Realistic faults of a port, one at a time: the suite must catch each, and a bisection must locate it."""
