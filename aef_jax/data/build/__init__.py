"""Read sites from real files."""
