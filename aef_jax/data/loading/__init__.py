"""Read training examples in parallel, as a stream of batches."""
