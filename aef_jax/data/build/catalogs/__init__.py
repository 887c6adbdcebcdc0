"""Where acquisitions come from: files that are listed, and STAC catalogs."""
