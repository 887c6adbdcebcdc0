"""Text for people: how commands print tables, dates and numbers."""
