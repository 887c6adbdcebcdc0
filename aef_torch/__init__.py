"""The reference: AlphaEarth Foundations as a reader would wish to find it in PyTorch."""
