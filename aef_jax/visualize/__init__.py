"""Draw pictures of a run."""
