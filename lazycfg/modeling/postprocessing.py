"""From the network's input size to the size of the output."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.structures import Instances, ROIMasks
from lazycfg.structures.pasting import paste_masks_in_images
from lazycfg.structures.rotated_boxes import clip_rotated, scale_rotated

from .padded import cat_field, upload

__all__ = ["detector_postprocess", "postprocess_batch", "sem_seg_postprocess", "sem_seg_postprocess_batch"]


def detector_postprocess(
    results: Instances,
    output_height: int,
    output_width: int,
    mask_threshold: float = 0.5,
    paste_masks: bool = True,
) -> Instances:
    """Scale the detections of one image to another size; boxes that become empty are left out.

    Args:
        results: with ``pred_boxes`` (or ``proposal_boxes``), ``pred_masks`` (N, 1, M, M) relative to the
            boxes, ``pred_keypoints`` (N, K, 3).
        output_height, output_width: in pixels.
        mask_threshold: what a pixel of a mask must reach.
        paste_masks: whether ``pred_masks`` becomes (N, height, width) bool; else it becomes `ROIMasks`.
    """
    size = (output_height, output_width)
    return postprocess_batch([results], [size], mask_threshold, paste_masks)[0]


@torch.compiler.disable
def postprocess_batch(
    results: Sequence[Instances],
    output_sizes: Sequence[tuple[int, int]],
    mask_threshold: float = 0.5,
    paste_masks: bool = True,
    *,
    host_boxes: Tensor | None = None,
) -> list[Instances]:
    """`detector_postprocess` of a batch.

    Args:
        results: per image.
        output_sizes: (height, width) of each image.
        host_boxes: (N, box_dim) all boxes on the CPU: without them the device is waited for once.
    """
    if len(results) == 0:
        return []
    counts = [len(x) for x in results]
    name = box_field(results[0])
    device = results[0].get(name).tensor.device
    if host_boxes is None:
        host_boxes = cat_field(results, name).detach().cpu()
    rows = []
    for x, size, count in zip(results, output_sizes, counts, strict=True):
        rows += [(size[1] / x.image_size[1], size[0] / x.image_size[0], size[1], size[0])] * count
    numbers = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
    on_host = scale_and_clip(host_boxes, numbers[:, :2], numbers[:, 2:])
    boxes = upload(on_host, device, torch.float32).split(counts)
    keypoints: Sequence[Tensor | None] = [None] * len(results)
    if all(x.has("pred_keypoints") for x in results):
        factor = upload(F.pad(numbers[:, None, :2], (0, 1), value=1.0), device, torch.float32)
        keypoints = (cat_field(results, "pred_keypoints") * factor).split(counts)
    out = [rescale_fields(*one) for one in zip(results, boxes, output_sizes, keypoints, strict=True)]
    keep = nonempty(on_host).numpy()
    if not keep.all():
        out = select_rows(out, keep)
    finish_masks(out, mask_threshold, paste_masks)
    return out


def box_field(results: Instances) -> str:
    """The name of the field of boxes.

    Raises:
        ValueError: there is none.
    """
    for name in ("pred_boxes", "proposal_boxes"):
        if results.has(name):
            return name
    raise ValueError(f"predictions must have pred_boxes or proposal_boxes, got {list(results.get_fields())}")


def scale_and_clip(boxes: Tensor, scale: Tensor, bounds: Tensor) -> Tensor:
    """Boxes (N, 4) XYXY or (N, 5), scaled by (x, y) and clipped to images of (width, height): both (N, 2)."""
    if boxes.shape[-1] == 5:
        return clip_rotated(scale_rotated(boxes, *scale.unbind(-1)), *bounds.unbind(-1))
    return torch.minimum((boxes * scale.repeat(1, 2)).clamp(min=0), bounds.repeat(1, 2))


def nonempty(boxes: Tensor) -> Tensor:
    """(N,) bool: whether boxes (N, 4) XYXY or (N, 5) have an area."""
    sides = boxes[:, 2:4] if boxes.shape[-1] == 5 else boxes[:, 2:] - boxes[:, :2]
    return (sides > 0).all(dim=1)


def rescale_fields(
    results: Instances, boxes: Tensor, new_size: tuple[int, int], keypoints: Tensor | None
) -> Instances:
    """A copy of the new size (height, width), with these boxes and keypoints."""
    out = Instances(new_size)
    name = box_field(results)
    for field, value in results.get_fields().items():
        if field == name:
            value = type(value)(boxes)
        elif field == "pred_keypoints":
            value = keypoints
        out.set(field, value)
    return out


def select_rows(instances: Sequence[Instances], keep: np.ndarray) -> list[Instances]:
    """The rows of all images (N,) that are to be kept: one gather per field, not one per field and image."""
    device = instances[0].get(box_field(instances[0])).tensor.device
    of_images = np.split(keep, np.cumsum([len(x) for x in instances])[:-1])
    rows = upload(keep.nonzero()[0], device, torch.int64)
    counts = [int(own.sum()) for own in of_images]
    out = [Instances(x.image_size) for x in instances]
    for name, first in instances[0].get_fields().items():
        if isinstance(first if isinstance(first, Tensor) else getattr(first, "tensor", None), Tensor):
            parts = cat_field(instances, name)[rows].split(counts)
            values = list(parts) if isinstance(first, Tensor) else [type(first)(part) for part in parts]
        else:
            kept = [own.nonzero()[0].tolist() for own in of_images]
            values = [x[index].get(name) for x, index in zip(instances, kept, strict=True)]
        for x, value in zip(out, values, strict=True):
            x.set(name, value)
    return out


def finish_masks(results: Sequence[Instances], threshold: float, paste: bool) -> None:
    """Make ``pred_masks`` of each image `ROIMasks`, or paste them: bool (N, height, width)."""
    results = [x for x in results if x.has("pred_masks")]
    if not results:
        return
    roi_masks = [
        x.pred_masks if isinstance(x.pred_masks, ROIMasks) else ROIMasks(x.pred_masks[:, 0]) for x in results
    ]
    if not paste:
        for x, masks in zip(results, roi_masks, strict=True):
            x.pred_masks = masks
        return
    pasted = paste_masks_in_images(
        ROIMasks.cat(roi_masks).tensor,
        cat_field(results, "pred_boxes"),
        [len(x) for x in results],
        [x.image_size for x in results],
        threshold,
    )
    for x, masks in zip(results, pasted, strict=True):
        x.pred_masks = masks


def sem_seg_postprocess(
    result: Tensor, img_size: tuple[int, int], output_height: int, output_width: int
) -> Tensor:
    """Scores of pixels, (C, H, W) with padding -> (C, output_height, output_width).

    Args:
        img_size: (height, width) of the image within the padding.
    """
    result = result[:, : img_size[0], : img_size[1]].unsqueeze(0)
    return F.interpolate(result, size=(output_height, output_width), mode="bilinear", align_corners=False)[0]


def sem_seg_postprocess_batch(
    logits: Tensor, image_sizes: Sequence[tuple[int, int]], output_sizes: Sequence[tuple[int, int]]
) -> list[tuple[list[int], Tensor]]:
    """`sem_seg_postprocess` of a batch (B, C, H, W), all images of equal sizes together.

    Returns:
        For each kind of size the images that have it, and their scores (n, C, output_height, output_width).
    """
    groups: dict[tuple[tuple[int, int], tuple[int, int]], list[int]] = {}
    for i, sizes in enumerate(zip(image_sizes, output_sizes, strict=True)):
        groups.setdefault(sizes, []).append(i)
    out = []
    for ((height, width), size), index in groups.items():
        x = logits if len(groups) == 1 else torch.stack([logits[i] for i in index])
        x = x[..., :height, :width]
        out.append((index, F.interpolate(x, size=size, mode="bilinear", align_corners=False)))
    return out
