"""The command `aef`: a module per subcommand, or per group of subcommands."""
