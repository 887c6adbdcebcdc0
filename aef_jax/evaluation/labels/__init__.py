"""Labels to evaluate features with: points, polygons and maps of classes or values."""
