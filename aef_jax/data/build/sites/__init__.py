"""Which ground becomes records: sites on the UTM grid, and their split."""
