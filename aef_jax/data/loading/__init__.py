"""The stream of batches that training reads."""
