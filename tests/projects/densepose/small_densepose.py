"""The chart models from their files, small enough for tests that run them many times."""

from pathlib import Path
from typing import Any

import torch
from tiny_rcnn import make_batch as make_boxes
from torch import nn

from lazycfg import LazyConfig, instantiate
from lazycfg.layers import ShapeSpec
from lazycfg.projects import densepose
from lazycfg.projects.densepose import DensePoseDataRelative, DensePoseList
from lazycfg.projects.densepose.configs.common.variants import use_confidences, use_deeplab_head

CONFIGS = Path(densepose.__file__).parent / "configs"
KINDS = ["charts", "legacy", "deeplab_wc1m", "wc2", "masks"]


def small_config(kind: str = "charts", **heads: Any) -> Any:
    cfg = LazyConfig.load(CONFIGS / "common/densepose_rcnn_fpn.py")
    cfg.train = {}
    model = cfg.model
    del model.backbone.bottom_up.stages["stride_in_1x1"]
    model.backbone.bottom_up.stages.depth = 18
    model.backbone.out_channels = 16
    rpn, roi_heads = model.proposal_generator, model.roi_heads
    rpn.head.in_channels = 16
    rpn.anchor_generator.sizes = [[8], [16], [32], [64], [128]]
    rpn.pre_nms_topk, rpn.post_nms_topk = (100, 100), (50, 30)
    roi_heads.update(num_classes=3, batch_size_per_image=64)
    roi_heads.box_head.update(input_shape=ShapeSpec(channels=16, height=7, width=7), fc_dims=[32])
    roi_heads.box_predictor.update(
        input_shape=ShapeSpec(channels=32), test_score_thresh=0.0, test_topk_per_image=10
    )
    if kind == "deeplab_wc1m":
        use_deeplab_head(model)
        use_confidences(model, cfg.train, uv_type="iid_iso", segm=True)
        roi_heads.densepose_head.nonlocal_on = True
    if kind == "wc2":
        use_confidences(model, cfg.train, uv_type="indep_aniso")
    roi_heads.decoder.update(num_classes=64, conv_dims=16)
    roi_heads.decoder.input_shape = {f"p{k}": ShapeSpec(channels=16, stride=2**k) for k in range(2, 6)}
    roi_heads.densepose_pooler.output_size = 7
    roi_heads.densepose_head.update(conv_head_dim=32, num_stacked_convs=2)
    roi_heads.densepose_losses.heatmap_size = 28
    if kind == "legacy":
        roi_heads.decoder = None
        roi_heads.densepose_pooler.scales = (1.0 / 4, 1.0 / 8, 1.0 / 16, 1.0 / 32)
        roi_heads.densepose_head.input_channels = 16
        roi_heads.densepose_predictor.num_coarse_segm_channels = 15
    if kind == "masks":
        roi_heads.densepose_losses.segm_trained_by_masks = True
    roi_heads.update(heads)
    return model


def small_model(kind: str = "charts", **heads: Any) -> nn.Module:
    torch.manual_seed(0)
    return instantiate(small_config(kind, **heads))


def annotation(seed: int = 0, points: int = 30, labels: int = 15) -> DensePoseDataRelative:
    """Random points and a mask of random tiles."""
    g = torch.Generator().manual_seed(seed)
    tiles = torch.randint(0, labels, (8, 8), generator=g).float()
    return DensePoseDataRelative(
        {
            "dp_x": 255 * torch.rand(points, generator=g),
            "dp_y": 255 * torch.rand(points, generator=g),
            "dp_I": torch.randint(1, 25, (points,), generator=g).float(),
            "dp_U": torch.rand(points, generator=g),
            "dp_V": torch.rand(points, generator=g),
            "dp_masks": tiles.repeat_interleave(32, 0).repeat_interleave(32, 1),
        }
    )


def make_batch(
    n: int, *, empty: tuple[int, ...] = (), bare: tuple[int, ...] = (), masks: str = "none"
) -> list[dict[str, Any]]:
    """n images; those in `empty` have no objects, those in `bare` no DensePose annotations. Of the others the
    last object has none, if there are several."""
    batch = make_boxes(n, masks, empty)
    for i, x in enumerate(batch):
        gt = x["instances"]
        if i in bare or i in empty:
            continue
        datas: list[Any] = [annotation(10 * i + k) for k in range(len(gt))]
        if len(gt) > 1:
            datas[-1] = None
        gt.gt_densepose = DensePoseList(datas, gt.gt_boxes.tensor, gt.image_size)
    return batch
