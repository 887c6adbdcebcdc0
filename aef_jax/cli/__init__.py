"""The command `aef`, one module per group of subcommands."""
