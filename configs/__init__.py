"""The contract that both frameworks read: what sources, sizes and batches are. No framework is imported here."""
