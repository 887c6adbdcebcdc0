"""What a training set holds, what is wrong with it, and pictures of its examples."""
