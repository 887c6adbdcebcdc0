"""Make frames of acquisitions: passes and months, bands, units and masks."""
