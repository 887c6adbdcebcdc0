"""Imagery, training sets, and the examples drawn from them."""
