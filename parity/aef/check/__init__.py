"""The sections of `aef-parity check`, and `aef-parity bisect`."""
