"""The zoo's two-stage models, from their files, as a user changes them."""

import pytest
import torch

from lazycfg import LazyConfig, check, instantiate
from lazycfg.model_zoo import get_config

CONFIGS = [
    "COCO-Detection/faster_rcnn_R_50_FPN_1x.py",
    "COCO-Detection/rpn_R_50_FPN_1x.py",
    "COCO-InstanceSegmentation/mask_rcnn_R_50_C4_1x.py",
    "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py",
    "COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.py",
    "Misc/cascade_mask_rcnn_R_50_FPN_1x.py",
    "Misc/mask_rcnn_R_50_FPN_1x_dconv_c3-c5.py",
]


@pytest.mark.parametrize("path", CONFIGS)
def test_checked_and_built_without_memory(path: str) -> None:
    config = get_config(path)
    assert check(config.model) == []
    with torch.device("meta"):
        model = instantiate(config.model)
    assert all(p.is_meta for p in model.parameters())
    assert any(not p.requires_grad for p in model.parameters())


def test_boxes_only_by_one_override() -> None:
    config = get_config("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py")
    LazyConfig.apply_overrides(config, ["model.roi_heads.mask_head=None", "model.roi_heads.num_classes=3"])
    with torch.device("meta"):
        model = instantiate(config.model)
    keys = model.state_dict()
    assert not any("mask" in key for key in keys)
    assert keys["roi_heads.box_predictor.cls_score.weight"].shape == (4, 1024)


def test_another_box_predictor_by_one_override() -> None:
    config = get_config("COCO-Detection/faster_rcnn_R_50_FPN_1x.py")
    LazyConfig.apply_overrides(config, ["model.roi_heads.box_predictor.use_sigmoid_ce=True"])
    with torch.device("meta"):
        assert instantiate(config.model).roi_heads.box_predictor.use_sigmoid_ce
