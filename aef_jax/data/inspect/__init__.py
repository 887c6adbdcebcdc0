"""Describe and check a training set, and draw pictures of its examples."""
