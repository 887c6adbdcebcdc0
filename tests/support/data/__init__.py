"""Small sites, data sets and batches."""
