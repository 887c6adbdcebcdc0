import pytest

pytest.register_assert_rewrite("loss_contract", "model_contract", "von_mises_fisher")
