"""Mask R-CNN over other backbones than ResNet."""

import parity_check
import pytest
from golden_configs import golden_model


@pytest.mark.parametrize(
    "name",
    [
        "mask_rcnn_regnetx_4gf_FPN",
        "mask_rcnn_regnety_4gf_FPN",
        "mask_rcnn_vitdet_tiny",
        "mask_rcnn_mvitv2_t",
        "cascade_mask_rcnn_mvitv2_t",
        "cascade_mask_rcnn_swin_tiny",
    ],
)
def test_equal_to_the_reference(name: str) -> None:
    parity_check.assert_parity(golden_model(name), name)
