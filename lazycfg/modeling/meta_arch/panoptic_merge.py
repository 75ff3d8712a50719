"""One panoptic map from instances and a semantic map, decided on the device, for a batch at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures import ImageList, Instances

from ..batched_instances import cat_field, select_rows
from ..padding import pad_all

__all__ = ["combine_semantic_and_instance_batch", "combine_semantic_and_instance_outputs"]

Segments = list[dict[str, Any]]


def combine_semantic_and_instance_outputs(
    instance_results: Instances,
    semantic_results: Tensor,
    overlap_threshold: float,
    stuff_area_thresh: float,
    instances_score_thresh: float,
    num_stuff_classes: int | None = None,
) -> tuple[Tensor, Segments]:
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
    return combine_semantic_and_instance_batch(
        [instance_results],
        [semantic_results],
        overlap_threshold,
        stuff_area_thresh,
        instances_score_thresh,
        num_stuff_classes or int(semantic_results.max()) + 1,
    )[0]


def combine_semantic_and_instance_batch(
    instances: Sequence[Instances],
    semantic_results: Sequence[Tensor],
    overlap_threshold: float,
    stuff_area_thresh: float,
    instances_score_thresh: float,
    num_stuff_classes: int,
) -> list[tuple[Tensor, Segments]]:
    """`combine_semantic_and_instance_outputs` of several images, which may differ in size.

    The host waits twice for all of them: for the scores and for the result. There are as many steps as the
    image with most instances above the threshold has.

    Args:
        semantic_results: per image (H_i, W_i).
    """
    sizes = [(int(x.shape[0]), int(x.shape[1])) for x in semantic_results]
    semantic = ImageList.from_tensors(list(semantic_results)).tensor  # padded with things, which are no stuff
    device = semantic.device
    order = by_score(instances, instances_score_thresh)
    names = ("scores", "pred_classes", "pred_masks")
    shown = [Instances(x.image_size, **{name: x.get(name) for name in names}) for x in instances]
    best = select_rows(shown, order)
    fields = [cat_field(best, "scores"), cat_field(best, "pred_classes"), cat_padded(best, semantic)]
    (scores, classes, masks), valid = pad_all([x.to(device) for x in fields], [len(own) for own in order])
    areas = masks.flatten(2).sum(2)
    wanted = (areas > 0) & valid

    # Rank + 1 of the instance that owns a pixel.  Whether an instance may paint depends on those before it.
    owner = torch.zeros_like(semantic, dtype=torch.int32)
    kept = torch.zeros_like(wanted)
    for rank in range(masks.shape[1]):
        mask = masks[:, rank]
        free = mask & (owner == 0)
        overlap = (areas[:, rank] - free.flatten(1).sum(1)).double() / areas[:, rank].clamp(min=1)
        kept[:, rank] = wanted[:, rank] & (overlap <= overlap_threshold)
        owner = torch.where(free & kept[:, rank, None, None], rank + 1, owner)

    unpainted = (owner == 0).flatten(1).long()
    stuff_area = unpainted.new_zeros((len(semantic), num_stuff_classes))
    stuff_area.scatter_add_(1, semantic.flatten(1), unpainted)
    stuff = stuff_area >= max(stuff_area_thresh, 1)
    stuff[:, 0] = False

    thing_id = torch.where(kept, kept.cumsum(1), 0)
    stuff_id = torch.where(stuff, kept.sum(1, keepdim=True) + stuff.cumsum(1), 0)
    of_owner = torch.cat([thing_id.new_zeros((len(thing_id), 1)), thing_id], dim=1)
    things = of_owner.gather(1, owner.flatten(1).long())
    rest = stuff_id.gather(1, semantic.flatten(1))
    maps = torch.where(things > 0, things, rest).view(semantic.shape).to(torch.int32)
    rows = [thing_id, classes, scores]
    stuff_rows = [stuff_id, stuff_area]
    things, stuff = _read(*(torch.stack([x.double() for x in table]) for table in (rows, stuff_rows)))
    out = []
    parts = zip(sizes, maps, order, things, stuff, strict=True)
    for (height, width), of_image, own, of_things, of_stuff in parts:
        out.append((of_image[:height, :width], _segments(own.tolist(), of_things, of_stuff)))
    return out


def by_score(instances: Sequence[Instances], threshold: float) -> list[np.ndarray]:
    """Return for each image the (K,) indices of its instances that score at least the threshold, best first.

    Waits for the device.
    """
    scores = cat_field(instances, "scores").detach().float().cpu().numpy()
    counts = [len(x) for x in instances]
    order = []
    for own in np.split(scores, np.cumsum(counts)[:-1]):
        best = np.argsort(-own, kind="stable")
        order.append(best[own[best] >= threshold])
    return order


def cat_padded(instances: Sequence[Instances], like: Tensor) -> Tensor:
    """Concatenate the masks of all images, padded to the size of the maps `like` (B, H, W)."""
    masks = [x.pred_masks.to(device=like.device, dtype=torch.bool) for x in instances]
    size = like.shape[1:]
    if all(x.shape[1:] == size for x in masks):
        return torch.cat(masks)
    out = torch.zeros((sum(len(x) for x in masks), *size), dtype=torch.bool, device=like.device)
    for part, x in zip(out.split([len(x) for x in masks]), masks, strict=True):
        part[:, : x.shape[1], : x.shape[2]] = x
    return out


def _read(*tables: Tensor) -> list[list[Any]]:
    """Tables (rows, B, columns) as a list of the rows of each image, in one transfer."""
    numbers = torch.cat([table.flatten() for table in tables]).cpu().numpy()
    parts = np.split(numbers, np.cumsum([table.numel() for table in tables])[:-1])
    return [
        part.reshape(table.shape).swapaxes(0, 1).tolist() for part, table in zip(parts, tables, strict=True)
    ]


def _segments(order: list[int], things: list[list[float]], stuff: list[list[float]]) -> Segments:
    """Segments of one image.

    Args:
        order: by rank the index of the instance in the image.
        things: by rank the id (0 for an instance left out), the class, the score; padded.
        stuff: by class the id (0 for a class left out) and the area.
    """
    segments: Segments = [
        {"id": int(i), "isthing": True, "score": score, "category_id": int(label), "instance_id": int(index)}
        for index, i, label, score in zip(order, *things, strict=False)
        if i > 0
    ]
    return segments + [
        {"id": int(i), "isthing": False, "category_id": label, "area": int(area)}
        for label, (i, area) in enumerate(zip(*stuff, strict=True))
        if i > 0
    ]
