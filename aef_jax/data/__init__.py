"""From imagery to batches."""
