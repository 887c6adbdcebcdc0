"""AEF as the first client of the parity tools: its model, its checkpoints, its commands."""
