"""The contract of both frameworks: configs, sources and batches. No framework is imported here."""
