"""Read what a compiled program does from the text of its optimized HLO."""
