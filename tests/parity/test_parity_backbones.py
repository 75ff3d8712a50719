"""Mask R-CNN over other backbones than ResNet."""

import parity_check
import pytest

from lazycfg import instantiate
from lazycfg.config.node import Node
from lazycfg.model_zoo import get_config


def reduce_randomness(model: Node) -> None:
    """Nothing is sampled away, so the only randomness left is the order of sums."""
    model.proposal_generator.update(batch_size_per_image=40000, post_nms_topk=[100, 60])
    model.roi_heads.batch_size_per_image = 4096
    predictors = model.roi_heads.get("box_predictors") or [model.roi_heads.box_predictor]
    for predictor in predictors:
        predictor.update(test_score_thresh=0.02, test_topk_per_image=30)


@pytest.mark.parametrize("letter", ["x", "y"])
def test_regnet(letter: str) -> None:
    model = get_config(f"COCO-InstanceSegmentation/mask_rcnn_regnet{letter}_4gf_dds_fpn_1x.py").model
    reduce_randomness(model)
    parity_check.assert_parity(instantiate(model), f"mask_rcnn_regnet{letter}_4gf_FPN")


def test_vitdet() -> None:
    model = get_config("ViTDet/mask_rcnn_vitdet_b_100ep.py").model
    reduce_randomness(model)
    model.backbone.square_pad = 256
    model.backbone.net.update(
        img_size=256,
        embed_dim=96,
        depth=4,
        num_heads=4,
        drop_path_rate=0.0,
        window_size=6,
        window_block_indexes=[0, 2],
    )
    parity_check.assert_parity(instantiate(model), "mask_rcnn_vitdet_tiny")


def test_mvitv2() -> None:
    model = get_config("MViTv2/mask_rcnn_mvitv2_t_3x.py").model
    reduce_randomness(model)
    model.backbone.bottom_up.drop_path_rate = 0.0
    parity_check.assert_parity(instantiate(model), "mask_rcnn_mvitv2_t")


def test_cascade_mvitv2() -> None:
    model = get_config("MViTv2/cascade_mask_rcnn_mvitv2_t_3x.py").model
    reduce_randomness(model)
    model.backbone.bottom_up.drop_path_rate = 0.0
    parity_check.assert_parity(instantiate(model), "cascade_mask_rcnn_mvitv2_t")


def test_cascade_swin() -> None:
    model = get_config("ViTDet/cascade_mask_rcnn_swin_b_in21k_50ep.py").model
    reduce_randomness(model)
    model.backbone.square_pad = 256
    model.backbone.bottom_up.update(
        depths=[2, 2, 6, 2], embed_dim=96, num_heads=[3, 6, 12, 24], drop_path_rate=0.0
    )
    parity_check.assert_parity(instantiate(model), "cascade_mask_rcnn_swin_tiny")
