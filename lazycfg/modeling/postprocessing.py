"""From the network's input size to the size of the output."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.structures import Instances, ROIMasks
from lazycfg.structures.rotated_boxes import clip_rotated, scale_rotated

from .padded import upload

__all__ = ["detector_postprocess", "postprocess_batch", "sem_seg_postprocess"]


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
    name = box_field(results)
    boxes = scaled_boxes(results.get(name).tensor, results.image_size, (output_height, output_width))
    keep = nonempty(boxes)
    out = rescale_fields(results, boxes, (output_height, output_width))[keep]
    return finish_masks(out, mask_threshold, paste_masks)


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
        host_boxes: (N, box_dim) all boxes on the CPU: with them the device is not asked which are empty.
    """
    if host_boxes is None or len(results) == 0:
        return [
            detector_postprocess(x, h, w, mask_threshold, paste_masks)
            for x, (h, w) in zip(results, output_sizes, strict=True)
        ]
    counts = [len(x) for x in results]
    name = box_field(results[0])
    rows = []
    for x, size, count in zip(results, output_sizes, counts, strict=True):
        rows += [(size[1] / x.image_size[1], size[0] / x.image_size[0], size[1], size[0])] * count
    numbers = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
    on_host = scale_and_clip(host_boxes, numbers[:, :2], numbers[:, 2:])
    keep = nonempty(on_host).numpy()
    boxes = upload(on_host, results[0].get(name).tensor.device, torch.float32)
    out, start = [], 0
    for x, part, size, count in zip(results, boxes.split(counts), output_sizes, counts, strict=True):
        new = rescale_fields(x, part, size)
        own = keep[start : start + count]
        start += count
        if not own.all():
            new = new[upload(own.nonzero()[0], part.device, torch.int64)]
        out.append(finish_masks(new, mask_threshold, paste_masks))
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


def scaled_boxes(boxes: Tensor, size: tuple[int, int], new_size: tuple[int, int]) -> Tensor:
    """Boxes (N, 4) XYXY or (N, 5) in an image of `size` (height, width), scaled and clipped to `new_size`."""
    scale = boxes.new_tensor([[new_size[1] / size[1], new_size[0] / size[0]]])
    return scale_and_clip(boxes, scale, boxes.new_tensor([[new_size[1], new_size[0]]]))


def scale_and_clip(boxes: Tensor, scale: Tensor, bounds: Tensor) -> Tensor:
    """Boxes (N, 4) XYXY or (N, 5), scaled by (x, y) and clipped to images of (width, height): both (N, 2)."""
    if boxes.shape[-1] == 5:
        return clip_rotated(scale_rotated(boxes, *scale.unbind(-1)), *bounds.unbind(-1))
    return torch.minimum((boxes * scale.repeat(1, 2)).clamp(min=0), bounds.repeat(1, 2))


def nonempty(boxes: Tensor) -> Tensor:
    """(N,) bool: whether boxes (N, 4) XYXY or (N, 5) have an area."""
    sides = boxes[:, 2:4] if boxes.shape[-1] == 5 else boxes[:, 2:] - boxes[:, :2]
    return (sides > 0).all(dim=1)


def rescale_fields(results: Instances, boxes: Tensor, new_size: tuple[int, int]) -> Instances:
    """A copy with these boxes, and keypoints scaled to the new size (height, width)."""
    scale_y, scale_x = new_size[0] / results.image_size[0], new_size[1] / results.image_size[1]
    out = Instances(new_size)
    name = box_field(results)
    for field, value in results.get_fields().items():
        if field == name:
            value = type(value)(boxes)
        elif field == "pred_keypoints":
            value = torch.stack((value[..., 0] * scale_x, value[..., 1] * scale_y, value[..., 2]), dim=-1)
        out.set(field, value)
    return out


def finish_masks(results: Instances, threshold: float, paste: bool) -> Instances:
    """``pred_masks`` of `results` as `ROIMasks`, or pasted into the image as bool (N, height, width)."""
    if not results.has("pred_masks"):
        return results
    masks = results.pred_masks
    if not isinstance(masks, ROIMasks):
        masks = ROIMasks(masks[:, 0])
    if paste:
        height, width = results.image_size
        results.pred_masks = masks.to_bitmasks(results.pred_boxes, height, width, threshold).tensor
    else:
        results.pred_masks = masks
    return results


def sem_seg_postprocess(
    result: Tensor, img_size: tuple[int, int], output_height: int, output_width: int
) -> Tensor:
    """Scores of pixels, (C, H, W) with padding -> (C, output_height, output_width).

    Args:
        img_size: (height, width) of the image within the padding.
    """
    result = result[:, : img_size[0], : img_size[1]].unsqueeze(0)
    return F.interpolate(result, size=(output_height, output_width), mode="bilinear", align_corners=False)[0]
