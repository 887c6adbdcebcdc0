import os

import pytest

# these make code a little faster and take most of the time in which XLA compiles it for a CPU
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false".strip()

pytest_plugins = ["pytester"]  # to test the plugin of parity

pytest.register_assert_rewrite(
    "embedding_loss_contract", "loss_contract", "model_contract", "refusals", "von_mises_fisher"
)
