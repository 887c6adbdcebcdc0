"""Report a run in one page: `aef report`."""
