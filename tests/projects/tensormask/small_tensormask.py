"""A TensorMask small enough to be run many times."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from lazycfg import LazyConfig, instantiate
from lazycfg.layers import ShapeSpec
from lazycfg.projects import tensormask

CONFIGS = Path(tensormask.__file__).parent / "configs"
QUICKSTART = CONFIGS / "quickstart_tensormask_shapes.py"


def small_config() -> Any:
    """The quickstart's model with fewer channels, for the images of `tiny_rcnn.make_batch`."""
    cfg = LazyConfig.load(QUICKSTART).model
    cfg.backbone.out_channels = 16
    cfg.head.update(input_shape=[ShapeSpec(channels=16)] * 4, cls_channels=16, bbox_channels=16)
    cfg.head.update(num_convs=1, mask_channels=16)
    cfg.test_score_thresh = 0.3
    return cfg


def small_model(*overrides: str) -> nn.Module:
    """The model of `small_config`, its predictions different from each other."""
    torch.manual_seed(0)
    cfg = small_config()
    LazyConfig.apply_overrides(cfg, list(overrides))
    model = instantiate(cfg)
    with torch.no_grad():
        for name, p in model.head.named_parameters():
            if "cls_score" in name or "mask_pred" in name:
                p.mul_(30) if name.endswith("weight") else p.zero_()
    return model
