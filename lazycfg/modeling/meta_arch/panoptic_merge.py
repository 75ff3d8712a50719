"""One panoptic map from instances and a semantic map, decided on the device."""

from typing import Any

import torch
from torch import Tensor

from lazycfg.structures import Instances

__all__ = ["combine_semantic_and_instance_outputs"]


def combine_semantic_and_instance_outputs(
    instance_results: Instances,
    semantic_results: Tensor,
    overlap_threshold: float,
    stuff_area_thresh: float,
    instances_score_thresh: float,
    num_stuff_classes: int | None = None,
) -> tuple[Tensor, list[dict[str, Any]]]:
    """Paint instances by falling score, each into what is still free, then stuff into the rest.

    Args:
        instance_results: with ``scores`` (N,), ``pred_classes`` (N,) and ``pred_masks`` (N, H, W) bool.
        semantic_results: the class of each pixel, (H, W) int64; class 0 stands for all things.
        overlap_threshold: an instance is dropped when more than this part of it is taken already.
        stuff_area_thresh: stuff that would cover fewer pixels is left out.
        instances_score_thresh: instances below this score are dropped.
        num_stuff_classes: classes of the semantic map; saves one wait for the device when given.

    Returns:
        The map (H, W) int32, 0 where nothing was painted, and a dict for each segment: ``id`` (its value
        in the map), ``isthing``, ``category_id``; for things ``score`` and ``instance_id`` (the index in
        ``instance_results``), for stuff ``area`` in pixels.

    The host waits for the device once, at the end (Panoptic FPN, arXiv:1901.02446, section 3.2).
    """
    device = semantic_results.device
    scores = instance_results.scores
    order = torch.argsort(-scores)
    masks = instance_results.pred_masks.to(device=device, dtype=torch.bool)[order]
    areas = masks.flatten(1).sum(1)
    wanted = (scores[order] >= instances_score_thresh) & (areas > 0)

    # Rank + 1 of the instance that owns a pixel.  Whether an instance may paint depends on those before it.
    owner = torch.zeros_like(semantic_results, dtype=torch.int32)
    kept = torch.zeros(len(order), dtype=torch.bool, device=device)
    for rank in range(len(order)):
        mask = masks[rank]
        free = owner == 0
        overlap = (mask & ~free).sum().double() / areas[rank].clamp(min=1)
        kept[rank] = wanted[rank] & (overlap <= overlap_threshold)
        owner = torch.where(mask & free & kept[rank], rank + 1, owner)

    classes = num_stuff_classes or int(semantic_results.max()) + 1
    unpainted = (owner == 0).flatten().long()
    stuff_area = unpainted.new_zeros(classes).scatter_add_(0, semantic_results.flatten(), unpainted)
    stuff = stuff_area >= max(stuff_area_thresh, 1)
    stuff[0] = False

    thing_id = torch.where(kept, kept.cumsum(0), 0)
    stuff_id = torch.where(stuff, thing_id.new_zeros(1) + kept.sum() + stuff.cumsum(0), 0)
    thing_lut = torch.cat([thing_id.new_zeros(1), thing_id])
    panoptic = torch.where(owner > 0, thing_lut[owner.long()], stuff_id[semantic_results]).to(torch.int32)

    table = torch.cat(
        [
            thing_id.double(),
            order.double(),
            instance_results.pred_classes[order].double(),
            scores[order].double(),
        ]
    )
    things, (stuff_ids, stuff_areas) = _read(table, torch.stack([stuff_id, stuff_area]))
    segments: list[dict[str, Any]] = [
        {"id": int(i), "isthing": True, "score": score, "category_id": int(label), "instance_id": int(index)}
        for i, index, label, score in zip(*things, strict=True)
        if i > 0
    ]
    segments += [
        {"id": int(i), "isthing": False, "category_id": label, "area": int(area)}
        for label, (i, area) in enumerate(zip(stuff_ids, stuff_areas, strict=True))
        if i > 0
    ]
    return panoptic, segments


def _read(things: Tensor, stuff: Tensor) -> tuple[list[list[float]], list[list[float]]]:
    """Both tables in one transfer, as rows of numbers."""
    numbers = torch.cat([things, stuff.double().flatten()]).tolist()
    n, classes = things.numel() // 4, stuff.shape[1]
    rest = numbers[4 * n :]
    return [numbers[k * n : (k + 1) * n] for k in range(4)], [rest[:classes], rest[classes:]]
