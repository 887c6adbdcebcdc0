"""Read imagery in the formats that users have: each reader lists acquisitions and reads their rasters."""
