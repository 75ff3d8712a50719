"""Models of the projects."""

import parity_check
import pytest
from golden_configs import golden_model


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("tridentnet_fast_R_50_C4", marks=pytest.mark.slow),
        "tensormask_R_50_FPN",
        pytest.param("mask_rcnn_R_50_FPN_BNhead", marks=pytest.mark.slow),
        "retinanet_BNhead_SharedTraining",
    ],
)
def test_equal_to_the_reference(name: str) -> None:
    parity_check.assert_parity(golden_model(name), name)
