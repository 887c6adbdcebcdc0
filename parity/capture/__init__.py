"""Running both models, and recording what their sub-modules are given and return."""
