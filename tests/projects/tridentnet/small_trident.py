"""A TridentNet small enough to be run many times."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from lazycfg import LazyConfig, instantiate
from lazycfg.projects import tridentnet

CONFIGS = Path(tridentnet.__file__).parent / "configs"
QUICKSTART = CONFIGS / "quickstart_tridentnet_shapes.py"


def small_config() -> Any:
    """The quickstart's model with fewer channels and regions, for the images of `tiny_rcnn.make_batch`."""
    cfg = LazyConfig.load(QUICKSTART).model
    cfg.backbone.stem.out_channels = 16
    channels = [(16, 16), (16, 24), (24, 32)]
    for stage, (before, after) in zip(cfg.backbone.stages, channels, strict=True):
        stage.update(in_channels=before, out_channels=after)
    cfg.backbone.stages[2].bottleneck_channels = 16
    cfg.proposal_generator.head.in_channels = 32
    cfg.proposal_generator.update(pre_nms_topk=(60, 60), post_nms_topk=(30, 20), batch_size_per_image=32)
    cfg.roi_heads.res5.update(in_channels=32, out_channels=48)
    cfg.roi_heads.box_predictor.input_shape.channels = 48
    cfg.roi_heads.box_predictor.test_score_thresh = 0.02
    return cfg


def small_model(*overrides: str) -> nn.Module:
    """The model of `small_config`, its predictions different from each other."""
    torch.manual_seed(0)
    cfg = small_config()
    LazyConfig.apply_overrides(cfg, list(overrides))
    model = instantiate(cfg)
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.weight.mul_(10)
    return model
