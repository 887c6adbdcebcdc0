"""Weight files of PyTorch and trees of Orbax: reading, writing and checking them."""
