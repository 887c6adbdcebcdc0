"""What both frameworks' implementations must promise."""
