"""Read embedding fields from files: ours and the public layers."""
