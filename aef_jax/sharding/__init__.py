"""The device mesh and its rules, batch placement, compiler options and multi-process setup."""
