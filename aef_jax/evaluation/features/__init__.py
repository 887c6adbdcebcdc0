"""Features of labeled points: embeddings, designed features of imagery, and stored vectors."""
