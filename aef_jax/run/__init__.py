"""The run folder and its checkpoints: the one owner of their format."""
