"""From the network's input size to the size of the output."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.structures import Instances, ROIMasks
from lazycfg.structures.pasting import paste_masks_in_images
from lazycfg.structures.rotated_boxes import clip_rotated, scale_rotated

from .batched_instances import cat_field, check_batch, select_rows
from .padding import rows_of_images
from .transfer import upload

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
) -> list[Instances]:
    """Do as `detector_postprocess`, for a batch. The device is waited for once: for the boxes that are empty.

    Args:
        results: per image.
        output_sizes: (height, width) of each image.

    Returns:
        New `Instances`; `results` stay as they are.

    Raises:
        ValueError: there are not as many results as images, a result has no boxes, or masks of a shape that
            is not known.
    """
    check_batch(results, len(output_sizes), "the detections")
    if len(results) == 0:
        return []
    names = [box_field(x, i) for i, x in enumerate(results)]
    counts = [len(x) for x in results]
    boxes = torch.cat([x.get(name).tensor for x, name in zip(results, names, strict=True)])
    rows = [
        (size[1] / x.image_size[1], size[0] / x.image_size[0], size[1], size[0])
        for x, size in zip(results, output_sizes, strict=True)
    ]
    numbers = upload(rows, boxes.device, torch.float32)
    of_rows = rows_of_images(numbers, counts)
    scaled = scale_and_clip(boxes, of_rows[:, :2], of_rows[:, 2:])
    keep = nonempty(scaled.detach()).cpu().numpy()
    out = []
    factors = F.pad(numbers[:, :2], (0, 1), value=1.0)  # of keypoints: x, y and score
    parts = zip(results, names, output_sizes, scaled.split(counts), factors.unbind(), strict=True)
    for x, name, size, own, factor in parts:
        new = Instances(size)
        for field, value in x.get_fields().items():
            if field == name:
                value = type(value)(own)
            elif field == "pred_keypoints":
                value = scale_keypoints(value, factor)
            new.set(field, value)
        out.append(new)
    if not keep.all():
        out = select_rows(out, [own.nonzero()[0] for own in np.split(keep, np.cumsum(counts)[:-1])])
    finish_masks(out, mask_threshold, paste_masks)
    return out


def box_field(results: Instances, image: int) -> str:
    """Return the name of the field of boxes.

    Raises:
        ValueError: there is none.
        TypeError: it holds a bare tensor.
    """
    for name in ("pred_boxes", "proposal_boxes"):
        if results.has(name):
            if isinstance(results.get(name), Tensor):
                raise TypeError(f"{name} of image {image} is a tensor: make it Boxes(tensor)")
            return name
    have = ", ".join(results.get_fields()) or "none"
    raise ValueError(
        f"the detections of image {image} have neither pred_boxes nor proposal_boxes (fields: {have})"
    )


def scale_and_clip(boxes: Tensor, scale: Tensor, bounds: Tensor) -> Tensor:
    """Boxes (N, 4) XYXY or (N, 5), scaled by (x, y) and clipped to images of (width, height): both (N, 2)."""
    if boxes.shape[-1] == 5:
        return clip_rotated(scale_rotated(boxes, *scale.unbind(-1)), *bounds.unbind(-1))
    return torch.minimum((boxes * scale.repeat(1, 2)).clamp(min=0), bounds.repeat(1, 2))


def scale_keypoints(keypoints: Any, factor: Tensor) -> Any:
    """Multiply a tensor (N, K, 3) of x, y and score, or `Keypoints`, by the factors (3,)."""
    return keypoints * factor if isinstance(keypoints, Tensor) else type(keypoints)(keypoints.tensor * factor)


def nonempty(boxes: Tensor) -> Tensor:
    """Return (N,) bool: whether boxes (N, 4) XYXY or (N, 5) have an area."""
    sides = boxes[:, 2:4] if boxes.shape[-1] == 5 else boxes[:, 2:] - boxes[:, :2]
    return (sides > 0).all(dim=1)


def finish_masks(results: Sequence[Instances], threshold: float, paste: bool) -> None:
    """Make ``pred_masks`` of each image `ROIMasks`, or paste them: bool (N, height, width)."""
    results = [x for x in results if x.has("pred_masks")]
    roi_masks = [as_roi_masks(x.pred_masks) for x in results]
    if not paste:
        for x, masks in zip(results, roi_masks, strict=True):
            x.pred_masks = masks
        return
    # all masks of one size together
    for side in {masks.tensor.shape[1:] for masks in roi_masks}:
        group = [i for i, masks in enumerate(roi_masks) if masks.tensor.shape[1:] == side]
        pasted = paste_masks_in_images(
            ROIMasks.cat([roi_masks[i] for i in group]).tensor,
            cat_field([results[i] for i in group], box_field(results[group[0]], group[0])),
            [len(results[i]) for i in group],
            [results[i].image_size for i in group],
            threshold,
        )
        for i, masks in zip(group, pasted, strict=True):
            results[i].pred_masks = masks


def as_roi_masks(masks: Any) -> ROIMasks:
    """Return masks relative to boxes, (N, 1, M, M), as `ROIMasks`.

    Raises:
        ValueError: they are of another shape.
    """
    if isinstance(masks, ROIMasks):
        return masks
    if not isinstance(masks, Tensor) or masks.dim() != 4 or masks.shape[1] != 1:
        shape = tuple(masks.shape) if isinstance(masks, Tensor) else type(masks).__name__
        raise ValueError(
            f"pred_masks: got {shape}. Postprocessing resizes masks to their boxes: it takes (N, 1, M, M) "
            "probabilities inside the boxes, or ROIMasks. To hand out whole masks, make them in _postprocess"
        )
    return ROIMasks(masks[:, 0])


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
    """Apply `sem_seg_postprocess` to a batch (B, C, H, W), all images of equal sizes together.

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
