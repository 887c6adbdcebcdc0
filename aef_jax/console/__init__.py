"""Text for people: tables, dates and numbers as commands print them."""
