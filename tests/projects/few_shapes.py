"""A few generated images that a small model learns by heart within seconds."""

from typing import Any

import torch
from torch import nn

from lazycfg.data import DatasetMapper, ShapesDataset
from lazycfg.structures import Instances, pairwise_iou
from lazycfg.utils.events import EventStorage

# Detections; and for each object the IoU of the best box of its class, and which it is
Found = tuple[Instances, torch.Tensor, torch.Tensor]


def few_shapes(number: int = 3, *, masks: bool = False) -> list[dict[str, Any]]:
    """Images of 96x96 pixels with one or two shapes, as a training step gets them."""
    dataset = ShapesDataset(
        num_images=number,
        seed=3,
        image_size=96,
        num_objects=(1, 2),
        radius=(0.15, 0.25),
        classes=("circle", "star"),
    )
    options = {"use_instance_mask": True, "instance_mask_format": "bitmask"} if masks else {}
    mapper = DatasetMapper(is_train=True, augmentations=[], image_format="BGR", **options)
    return [mapper(dataset[i]) for i in range(number)]


def learn(model: nn.Module, batch: list[dict[str, Any]], *, steps: int, lr: float) -> tuple[float, float]:
    """Train on one batch; the sum of the losses before and after."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    model.train()
    totals = []
    with EventStorage(0):
        for _ in range(steps):
            loss = sum(model(batch).values())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            totals.append(loss.item())
    return totals[0], totals[-1]


@torch.no_grad()
def found_objects(
    model: nn.Module, batch: list[dict[str, Any]]
) -> list[tuple[Instances, torch.Tensor, torch.Tensor]]:
    """What is found of each image."""
    out = []
    for item, result in zip(batch, model.eval()(batch), strict=True):
        found, truth = result["instances"], item["instances"]
        overlap = pairwise_iou(truth.gt_boxes, found.pred_boxes)
        same = truth.gt_classes[:, None] == found.pred_classes
        best, index = (overlap * same).max(dim=1)
        out.append((found, best, index))
    return out
