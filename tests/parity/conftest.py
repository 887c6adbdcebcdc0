"""What PyTorch needs to be an oracle."""

import pytest
import torch


@pytest.fixture(scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the model is tiny: threads would mostly wait for one another
    torch.erf(torch.ones(64, dtype=torch.float64))  # a process's first one has been seen to be off by 3e-11
    yield
    torch.set_num_threads(before)
