"""Every golden file on a GPU: the numbers of the reference on a CPU, from our ops' CUDA side."""

import parity_check
import pytest
import torch
from golden_configs import CONFIGS, golden_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """TF32 rounds to ten bits: its results are no parity at 1e-4."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)


@pytest.mark.parametrize("name", CONFIGS)
def test_equal_to_the_reference(name: str) -> None:
    model = golden_model(name)
    parity_check.assert_parity(model, name, double_training=True, device="cuda")
