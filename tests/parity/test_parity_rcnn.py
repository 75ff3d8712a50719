"""Two-stage detectors and the proposal network."""

import parity_check
import pytest
from golden_configs import golden_model


@pytest.mark.parametrize(
    "name",
    [
        "mask_rcnn_R_50_FPN",
        "faster_rcnn_R_50_FPN",
        pytest.param("faster_rcnn_R_50_DC5", marks=pytest.mark.slow),
        "rpn_R_50_FPN",
        pytest.param("rotated_faster_rcnn_R_50_FPN", marks=pytest.mark.slow),
        pytest.param("cascade_mask_rcnn_R_50_FPN", marks=pytest.mark.slow),
        "keypoint_rcnn_R_50_FPN",
        pytest.param("mask_rcnn_R_50_C4", marks=pytest.mark.slow),
        pytest.param("mask_rcnn_R_50_FPN_dconv_c3-c5", marks=pytest.mark.slow),
        pytest.param("mask_rcnn_R_50_FPN_mdconv_c3-c5", marks=pytest.mark.slow),
    ],
)
def test_equal_to_the_reference(name: str) -> None:
    parity_check.assert_parity(golden_model(name), name)
