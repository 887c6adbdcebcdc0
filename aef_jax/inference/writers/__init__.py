"""Write embedding fields to files, one module per format."""
