"""Instances as the pixels that point at one centre (Panoptic-DeepLab, arXiv:1911.10194), for a batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.structures import Boxes, Instances

from .transfer import upload

__all__ = [
    "PanopticMaps",
    "find_instance_center",
    "get_instance_segmentation",
    "get_panoptic_segmentation",
    "group_pixels",
    "instances_of_panoptic",
    "merge_semantic_and_instance",
]

_MOST_DISTANCES = 2**24  # computed at a time

Pixels = tuple[Tensor, Tensor, Tensor]
"""P pixels as (image, y, x), each (P,) int64."""


@dataclass
class PanopticMaps:
    """Panoptic maps of a batch, and the instances in them.

    Attributes:
        panoptic: (N, H, W) int64, ``class * label_divisor + k`` with k = 1, 2, ... for the instances of a
            class and 0 for stuff; -1 where there is nothing.
        centers: (N, H, W) int64, which centre (from 1) a pixel of a thing belongs to; 0 for none.
        labels: (N, K) int64, the value that each centre has in `panoptic`; -1 for one without pixels.
        things: the pixels of things.
    """

    panoptic: Tensor
    centers: Tensor
    labels: Tensor
    things: Pixels


def find_instance_center(
    heatmaps: Tensor, threshold: float = 0.1, nms_kernel: int = 7, top_k: int | None = 200
) -> tuple[Tensor, Tensor]:
    """Return the local maxima of heat maps. The host waits once, for the largest number of them.

    Args:
        heatmaps: (N, H, W).
        threshold: a centre is hotter than this.
        nms_kernel: a centre is the hottest pixel of a square of this size; odd.
        top_k: only maxima hotter than the so many-th of the image are centres; None for no limit.

    Returns:
        (N, K, 2) int64 (y, x) in the order of rows and columns, K the number in the image that has most, and
        (N, K) bool, which of them are real.

    Raises:
        ValueError: an even kernel.
    """
    if nms_kernel % 2 == 0:
        raise ValueError(f"nms_kernel={nms_kernel}: a window with a pixel in its middle has an odd size")
    heat = torch.where(heatmaps > threshold, heatmaps, -1.0)
    hottest = F.max_pool2d(heat[:, None], nms_kernel, stride=1, padding=nms_kernel // 2)[:, 0]
    flat = torch.where(heat == hottest, heat, -1.0).flatten(1)
    pixels = flat.shape[1]
    if top_k is None:
        top_k = int((flat > 0).sum(1).max()) + 1  # so that the last one is no centre
    values, index = flat.topk(min(top_k, pixels), dim=1)
    lowest = values[:, -1:].clamp(min=0) if top_k <= pixels else 0.0
    real = values > lowest
    index = index.masked_fill(~real, pixels).sort(dim=1).values[:, : int(real.sum(1).max())]
    width = heatmaps.shape[2]
    return torch.stack([index // width, index % width], dim=-1), index < pixels


def group_pixels(pixels: Pixels, offsets: Tensor, centers: Tensor, valid: Tensor) -> Tensor:
    """Return for each pixel the centre (from 1) that it points nearest to, the first of several; 0 in an
    image without centres.

    Args:
        pixels: P pixels.
        offsets: (N, 2, H, W), from each pixel to its centre, (y, x).
        centers, valid: see `find_instance_center`.

    Returns:
        (P,) int64.
    """
    image, y, x = pixels
    count = centers.shape[1]
    if count == 0:
        return torch.zeros_like(image)
    targets = torch.stack([y + offsets[image, 0, y, x], x + offsets[image, 1, y, x]], dim=1)
    places = centers.to(offsets.dtype).masked_fill(~valid[..., None], float("inf"))
    nearest = torch.empty_like(image)
    step = max(1, _MOST_DISTANCES // count)
    for start in range(0, len(image), step):
        part = slice(start, start + step)
        distance = torch.linalg.vector_norm(places[image[part]] - targets[part, None], dim=2)
        nearest[part] = distance.argmin(dim=1)
    return torch.where(valid[:, 0][image], nearest + 1, 0)


def get_instance_segmentation(
    sem_seg: Tensor,
    heatmaps: Tensor,
    offsets: Tensor,
    is_thing: Tensor,
    threshold: float = 0.1,
    nms_kernel: int = 7,
    top_k: int | None = 200,
) -> tuple[Tensor, int, Pixels]:
    """Group the pixels of things by the centres that they point at. The host waits twice.

    Args:
        sem_seg: (N, H, W) int64 classes; negative ones are nothing.
        heatmaps: (N, H, W).
        offsets: (N, 2, H, W) pixels, (y, x).
        is_thing: (K,) bool, of each class.
        threshold, nms_kernel, top_k: see `find_instance_center`.

    Returns:
        (N, H, W) int64, the centre (from 1) of each pixel of a thing and 0 elsewhere; how many centres the
        image with most of them has; the pixels of things.
    """
    centers, valid = find_instance_center(heatmaps, threshold, nms_kernel, top_k)
    is_thing_pixel = is_thing[sem_seg.clamp(min=0)] & (sem_seg >= 0)
    image, y, x = is_thing_pixel.nonzero().unbind(1)
    owner = torch.zeros_like(sem_seg)
    owner[image, y, x] = group_pixels((image, y, x), offsets, centers, valid)
    return owner, centers.shape[1], (image, y, x)


def merge_semantic_and_instance(
    sem_seg: Tensor,
    centers: Tensor,
    things: Pixels,
    num_centers: int,
    is_thing: Tensor,
    label_divisor: int,
    stuff_area: int,
) -> PanopticMaps:
    """Give each instance the class that most of its pixels have, and the rest to stuff.

    Args:
        sem_seg: (N, H, W) int64 classes; negative ones are nothing.
        centers, num_centers, things: see `get_instance_segmentation`.
        is_thing: (K,) bool, of each class.
        label_divisor: see `PanopticMaps`.
        stuff_area: stuff of fewer pixels is left out.
    """
    count, num_classes = len(sem_seg), len(is_thing)
    flat, owner = sem_seg.flatten(1), centers.flatten(1)
    known = flat >= 0
    flat = flat.clamp(min=0)
    # Row 0 counts the pixels of each class that belong to no centre, row k those of centre k.
    votes = flat.new_zeros((count, (num_centers + 1) * num_classes))
    votes.scatter_add_(1, owner * num_classes + flat, known.long())
    votes = votes.view(count, num_centers + 1, num_classes)

    of_centers = votes[:, 1:]
    classes = of_centers.argmax(2)  # the smallest of several
    found = of_centers.sum(2) > 0
    all_classes = torch.arange(num_classes, device=flat.device)
    is_class = (classes[..., None] == all_classes) & found[..., None]
    number = is_class.cumsum(1).gather(2, classes[..., None])[..., 0]
    labels = torch.where(found, classes * label_divisor + number, -1)

    shown = ~is_thing & (votes[:, 0] >= max(stuff_area, 1))
    stuff = torch.where(shown, all_classes * label_divisor, -1)

    of_owner = F.pad(labels, (1, 0), value=-1).gather(1, owner)
    of_class = torch.where(known, stuff.gather(1, flat), -1)
    panoptic = torch.where(owner > 0, of_owner, of_class)
    return PanopticMaps(panoptic.view(sem_seg.shape), centers, labels, things)


def get_panoptic_segmentation(
    sem_seg: Tensor,
    heatmaps: Tensor,
    offsets: Tensor,
    *,
    is_thing: Tensor,
    label_divisor: int,
    stuff_area: int,
    threshold: float = 0.1,
    nms_kernel: int = 7,
    top_k: int | None = 200,
) -> PanopticMaps:
    """Return panoptic maps (N, H, W) of the classes of pixels, the heat of centres, and the offsets to them.

    Args: see `get_instance_segmentation` and `merge_semantic_and_instance`. The host waits twice.
    """
    centers, count, things = get_instance_segmentation(
        sem_seg, heatmaps, offsets, is_thing, threshold, nms_kernel, top_k
    )
    return merge_semantic_and_instance(sem_seg, centers, things, count, is_thing, label_divisor, stuff_area)


def instances_of_panoptic(
    maps: PanopticMaps,
    logits: Tensor,
    heatmaps: Tensor,
    image_sizes: Sequence[tuple[int, int]],
    label_divisor: int,
) -> list[Instances | None]:
    """Return the instances of panoptic maps, by rising label; None for an image without. The host waits once.

    Args:
        maps: of N images, padded to one size.
        logits: (N, K, H, W), of the classes.
        heatmaps: (N, H, W).
        image_sizes: (height, width) of each image.
        label_divisor: see `PanopticMaps`.

    Returns:
        `Instances` with ``pred_classes``, ``pred_masks`` (M, height, width) bool, ``scores`` (the mean
        probability of the class inside the mask times the heat in the middle of the mask), ``pred_boxes``.
    """
    count, num_centers = maps.labels.shape
    image, y, x = maps.things
    owner = maps.centers[image, y, x]
    slot = image * (num_centers + 1) + owner
    slots = (count * (num_centers + 1), 1)
    classes = maps.labels.clamp(min=0) // label_divisor
    own_class = F.pad(classes, (1, 0)).flatten()[slot]
    probability = logits[image, :, y, x].float().softmax(1).gather(1, own_class[:, None])
    total = probability.new_zeros(slots).index_add_(0, slot, probability)

    position = torch.stack([y, x], dim=1)
    sums = position.new_zeros((slots[0], 3)).index_add_(0, slot, F.pad(position, (0, 1), value=1))
    extent = torch.cat([-position, position], dim=1)
    reach = extent.new_zeros((slots[0], 4))
    reach.scatter_reduce_(0, slot[:, None].expand(-1, 4), extent, "amax", include_self=False)

    area = sums[:, 2].clamp(min=1)
    middle = sums[:, :2] // area[:, None]
    of_image = torch.arange(count, device=slot.device).repeat_interleave(
        num_centers + 1, output_size=slots[0]
    )
    scores = total[:, 0] / area * heatmaps[of_image, middle[:, 0], middle[:, 1]]
    boxes = torch.stack([-reach[:, 1], -reach[:, 0], reach[:, 3] + 1, reach[:, 2] + 1], dim=1).float()

    labels = maps.labels.cpu().numpy()
    order = [np.argsort(own, kind="stable")[(own < 0).sum() :] for own in labels]
    rows = [i * (num_centers + 1) + own + 1 for i, own in enumerate(order)]
    counts = [len(own) for own in rows]
    index = upload(np.concatenate(rows), slot.device, torch.int64)
    values = F.pad(maps.labels, (1, 0)).flatten()[index]
    fields = [x.split(counts) for x in (values, values // label_divisor, scores[index], boxes[index])]
    out: list[Instances | None] = []
    for panoptic, size, *own in zip(maps.panoptic, image_sizes, *fields, strict=True):
        value, category, score, box = own
        if not len(value):
            out.append(None)
            continue
        masks = panoptic[: size[0], : size[1]] == value[:, None, None]
        out.append(
            Instances(size, pred_classes=category, pred_masks=masks, scores=score, pred_boxes=Boxes(box))
        )
    return out
