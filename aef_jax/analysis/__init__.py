"""What people do with an embedding field: one module per tool, each of which writes a GeoTIFF and a picture."""
