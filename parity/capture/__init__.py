"""Run both models, and record what their sub-modules receive and return."""
