"""What `aef evaluate` writes: a table, CSV, JSON and a page."""
