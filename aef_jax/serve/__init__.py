"""Show embedding fields on a map in a browser: `aef serve`."""
