"""Maps of classes at sites."""
