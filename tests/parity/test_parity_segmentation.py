"""Semantic and panoptic segmentation."""

import parity_check

from lazycfg import LazyConfig, instantiate
from lazycfg.model_zoo import get_config_file


def test_semantic_fpn() -> None:
    model = LazyConfig.load(get_config_file("common/models/semantic_fpn.py")).model
    model.backbone.bottom_up.freeze_at = 2
    parity_check.assert_parity(instantiate(model), "semantic_R_50_FPN")


def test_panoptic_fpn() -> None:
    model = LazyConfig.load(get_config_file("common/models/panoptic_fpn.py")).model
    model.backbone.bottom_up.freeze_at = 2
    model.proposal_generator.update(batch_size_per_image=40000, post_nms_topk=(100, 60))
    model.roi_heads.batch_size_per_image = 4096
    model.roi_heads.box_predictor.update(test_score_thresh=0.02, test_topk_per_image=30)
    model.update(combine_instances_score_thresh=0.1, combine_stuff_area_thresh=256)
    parity_check.assert_parity(instantiate(model), "panoptic_fpn_R_50")
