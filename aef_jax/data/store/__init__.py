"""Store training sets on disk: sites, records, shards, and the statistics of their values."""
