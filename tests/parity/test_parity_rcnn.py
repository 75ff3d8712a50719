"""Two-stage detectors and the proposal network."""

import parity_check
import pytest
from golden_configs import golden_model


@pytest.mark.parametrize(
    "name",
    [
        "mask_rcnn_R_50_FPN",
        "faster_rcnn_R_50_FPN",
        "faster_rcnn_R_50_DC5",
        "rpn_R_50_FPN",
        "rotated_faster_rcnn_R_50_FPN",
        "cascade_mask_rcnn_R_50_FPN",
        "keypoint_rcnn_R_50_FPN",
        "mask_rcnn_R_50_C4",
        "mask_rcnn_R_50_FPN_dconv_c3-c5",
        "mask_rcnn_R_50_FPN_mdconv_c3-c5",
    ],
)
def test_equal_to_the_reference(name: str) -> None:
    parity_check.assert_parity(golden_model(name), name)
