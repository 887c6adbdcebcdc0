"""Which parameter of one model is which of the other, and how its array is laid out."""
