"""A TridentNet small enough to be run many times."""

from pathlib import Path
from typing import Any

import torch
from tiny_rcnn import tiny_config
from torch import nn

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, instantiate
from lazycfg.layers import ShapeSpec
from lazycfg.projects import tridentnet
from lazycfg.projects.tridentnet import TridentStandardROIHeads

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


def small_mask_model(*overrides: str) -> nn.Module:
    """`small_model` with `TridentStandardROIHeads`, which predict masks too."""
    torch.manual_seed(0)
    cfg, mask = small_config(), tiny_config(num_classes=4).roi_heads
    shared = ("num_branch", "trident_fast", "num_classes", "batch_size_per_image", "positive_fraction")
    heads = {name: cfg.roi_heads[name] for name in (*shared, "proposal_matcher")}
    for name in ("box_pooler", "mask_pooler"):
        mask[name].scales = (1 / 8,)
    for name, side in (("box_head", 7), ("mask_head", 14)):
        mask[name].input_shape = ShapeSpec(channels=32, height=side, width=side)
    cfg.roi_heads = L(TridentStandardROIHeads)(
        **heads,
        box_in_features=["res4"],
        mask_in_features=["res4"],
        **{name: mask[name] for name in ("box_pooler", "box_head", "box_predictor")},
        **{name: mask[name] for name in ("mask_pooler", "mask_head")},
    )
    cfg.roi_heads.box_predictor.test_score_thresh = 0.02
    LazyConfig.apply_overrides(cfg, list(overrides))
    return instantiate(cfg)
