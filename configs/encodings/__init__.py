"""Fixed encodings that both frameworks share, computed on the host in float64."""
