"""Embedding fields from frames, for a model in either framework: scaling, z-scores, tiles and blending, in NumPy."""
