"""Read places from CSV, GeoJSON, Parquet and GeoParquet: sites, labels and texts."""
