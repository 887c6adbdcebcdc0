import pytest

pytest.register_assert_rewrite("loss_contract", "model_contract", "refusals", "von_mises_fisher")
