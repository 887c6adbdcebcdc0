"""What a compiled program does, read from the text of its optimized HLO."""
