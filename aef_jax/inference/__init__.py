"""Embedding fields: tiles, quantisation, GeoTIFF."""
