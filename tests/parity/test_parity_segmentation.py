"""Semantic and panoptic segmentation."""

import parity_check
import pytest
from golden_configs import golden_model


@pytest.mark.parametrize("name", ["semantic_R_50_FPN", "panoptic_fpn_R_50"])
def test_equal_to_the_reference(name: str) -> None:
    parity_check.assert_parity(golden_model(name), name)
