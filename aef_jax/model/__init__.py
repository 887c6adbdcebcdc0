"""The model in Flax NNX (mirror: aef_torch/model)."""
