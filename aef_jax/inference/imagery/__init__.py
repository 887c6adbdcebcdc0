"""Fields of any area, straight from imagery, tile by tile."""
