"""A small detector of rotated boxes learns to find turned bars."""

import math

import pytest
import torch
from tiny_rotated import tiny_config

from lazycfg import LazyCall as L
from lazycfg import instantiate
from lazycfg.data import DatasetMapper, ShapesDataset
from lazycfg.evaluation import RotatedCOCOEvaluator
from lazycfg.layers import ShapeSpec
from lazycfg.modeling.backbone import BasicBlock, ResNet
from lazycfg.structures import matched_iou_rotated, pairwise_iou_rotated

STEPS, BATCH, LR = 100, 8, 5e-3


def small_detector():
    model = tiny_config(num_classes=1)
    model.pixel_std = [57.0, 57.0, 57.0]
    model.backbone.out_channels = 32
    model.backbone.bottom_up.freeze_at = 0
    model.backbone.bottom_up.stem.update(out_channels=16, norm="BN")
    model.backbone.bottom_up.stages = [
        L(ResNet.make_stage)(
            block_class=BasicBlock,
            num_blocks=1,
            stride=stride,
            in_channels=before,
            out_channels=after,
            norm="BN",
        )
        for stride, before, after in ((1, 16, 16), (2, 16, 32), (2, 32, 64), (2, 64, 96))
    ]
    rpn, heads = model.proposal_generator, model.roi_heads
    rpn.head.update(in_channels=32, num_anchors=6)
    rpn.anchor_generator.update(
        sizes=[[16], [32], [48], [64], [96]], angles=[-45, 0, 45], aspect_ratios=[0.4, 1.0]
    )
    rpn.update(pre_nms_topk=(100, 60), post_nms_topk=(48, 24), batch_size_per_image=64)
    heads.batch_size_per_image = 24
    heads.box_head.update(input_shape=ShapeSpec(channels=32, height=7, width=7), fc_dims=[64])
    heads.box_predictor.update(input_shape=ShapeSpec(channels=64), test_score_thresh=0.3)
    heads.box_predictor.box2box_transform.weights = [5, 5, 2.5, 2.5, 2]
    torch.manual_seed(0)
    return instantiate(model)


def bars(num_images: int, seed: int) -> ShapesDataset:
    return ShapesDataset(
        num_images=num_images,
        image_size=64,
        seed=seed,
        classes=("bar",),
        num_objects=(1, 1),
        radius=(0.25, 0.35),
        max_turn=60,
        rotated=True,
    )


@pytest.mark.slow
def test_it_learns() -> None:
    model, data = small_detector().train(), bars(STEPS * BATCH, seed=1)
    mapper = DatasetMapper(is_train=True, use_rotated_box=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
    totals = []
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = (
            LR * min(1, (step + 1) / 10) * 0.5 * (1 + math.cos(math.pi * step / STEPS))
        )
        losses = model([mapper(data[step * BATCH + k]) for k in range(BATCH)])
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        totals.append(total.item())
    assert sum(totals[-10:]) / 10 < 0.6 * sum(totals[:3]) / 3, totals

    held_out = bars(40, seed=2)
    records = [mapper(held_out[k]) for k in range(40)]
    model.eval()
    with torch.no_grad():
        outputs = model(records)
    found, across = [], []
    for record, output in zip(records, outputs, strict=True):
        truth, boxes = record["instances"].gt_boxes.tensor, output["instances"].pred_boxes.tensor
        if len(boxes):
            iou, best = pairwise_iou_rotated(truth, boxes).max(dim=1)
            mirrored = boxes[best] * torch.tensor([1, 1, 1, 1, -1])
            found.append(iou.item())
            across.append(matched_iou_rotated(truth, mirrored).item())
    assert sum(iou > 0.5 for iou in found) > 20, found
    # the angle is learned, and by its sign
    assert sum(found) > 1.2 * sum(across)
    evaluator = RotatedCOCOEvaluator(dataset=held_out)
    evaluator.reset()
    evaluator.process(records, outputs)
    assert evaluator.evaluate()["bbox"]["AP50"] > 10
