"""The device mesh and its rules, placement of batches, compiler options, and multi-process setup."""
