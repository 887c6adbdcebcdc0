"""What `aef-parity check` and `aef-parity bisect` do."""
