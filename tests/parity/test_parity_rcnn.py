"""Two-stage detectors and the proposal network."""

from typing import Any

import parity_check
import pytest

from lazycfg import LazyConfig, instantiate
from lazycfg.model_zoo import get_config_file


def load(config: str, freeze_at: int) -> Any:
    """A zoo model set up as the golden files say. Nothing is sampled away, so the only randomness left is the
    order of sums."""
    model = LazyConfig.load(get_config_file(f"common/models/{config}.py")).model
    bottom_up = model.backbone.get("bottom_up", model.backbone)
    bottom_up.freeze_at = freeze_at
    model.proposal_generator.update(batch_size_per_image=40000, post_nms_topk=[100, 60])
    if "roi_heads" in model:
        heads = model.roi_heads
        heads.batch_size_per_image = 4096
        for predictor in heads.get("box_predictors") or [heads.box_predictor]:
            predictor.update(test_score_thresh=0.02, test_topk_per_image=30)
    return model


@pytest.mark.parametrize(
    ("name", "config", "freeze_at"),
    [
        ("mask_rcnn_R_50_FPN", "mask_rcnn_fpn", 2),
        ("faster_rcnn_R_50_FPN", "faster_rcnn_fpn", 0),
        ("rpn_R_50_FPN", "rpn_fpn", 2),
        ("cascade_mask_rcnn_R_50_FPN", "cascade_rcnn", 0),
        ("keypoint_rcnn_R_50_FPN", "keypoint_rcnn_fpn", 2),
        ("mask_rcnn_R_50_C4", "mask_rcnn_c4", 2),
        ("rotated_faster_rcnn_R_50_FPN", "rotated_faster_rcnn", 2),
        ("mask_rcnn_R_50_FPN_dconv_c3-c5", "mask_rcnn_fpn_dconv", 2),
    ],
)
def test_equal_to_the_reference(name: str, config: str, freeze_at: int) -> None:
    parity_check.assert_parity(instantiate(load(config, freeze_at)), name)


def test_modulated_deformable_convolution() -> None:
    model = load("mask_rcnn_fpn_dconv", 2)
    for stage in model.backbone.bottom_up.stages[1:]:
        stage.deform_modulated = True
    parity_check.assert_parity(instantiate(model), "mask_rcnn_R_50_FPN_mdconv_c3-c5")
