"""What a model found in one image, kept small until the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.layers.mask_ops import paste_masks_in_boxes
from lazycfg.structures import BitMasks, BoxMode, Instances, ROIMasks
from lazycfg.structures.rle import encode_crops, encode_masks_near

__all__ = ["ImagePrediction", "encode_masks", "instances_to_coco_json"]


@dataclass
class ImagePrediction:
    """The detections of one image on the host, as arrays, the best first."""

    image_id: Any
    boxes: np.ndarray
    """(N, 4) XYXY in pixels, or (N, 5) rotated."""
    scores: np.ndarray
    classes: np.ndarray
    rles: list[dict[str, Any]] | None = None
    """Masks as run lengths."""
    keypoints: np.ndarray | None = None
    """(N, K, 3): position in pixels and score."""

    @staticmethod
    def from_instances(image_id: Any, instances: Instances) -> ImagePrediction:
        """Take over ``pred_boxes``, ``scores``, ``pred_classes``, ``pred_masks``, ``pred_keypoints``."""
        on_host = instances.to("cpu")
        boxes = on_host.pred_boxes.tensor
        keypoints = on_host.pred_keypoints if on_host.has("pred_keypoints") else None
        return ImagePrediction(
            image_id=image_id,
            boxes=boxes.float().numpy(),
            scores=on_host.scores.float().numpy(),
            classes=on_host.pred_classes.numpy(),
            rles=encode_masks(on_host.pred_masks, boxes, on_host.image_size)
            if on_host.has("pred_masks")
            else None,
            keypoints=None if keypoints is None else getattr(keypoints, "tensor", keypoints).float().numpy(),
        )

    def to_coco(self, category_ids: Sequence[int]) -> list[dict[str, Any]]:
        """Return one dict per detection, as in a COCO results file; rotated boxes as (xc, yc, w, h, angle).

        Raises:
            ValueError: a class that the data set does not have.
        """
        foreign = self.classes[(self.classes < 0) | (self.classes >= len(category_ids))]
        if len(foreign):
            raise ValueError(
                f"the model predicts class {foreign[0]} in image {self.image_id!r}, and the data set has "
                f"{len(category_ids)} classes, from 0: is its num_classes that of the data set?"
            )
        mode = BoxMode.XYWHA_ABS if self.boxes.shape[1] == 5 else BoxMode.XYWH_ABS
        own_mode = mode if mode == BoxMode.XYWHA_ABS else BoxMode.XYXY_ABS
        boxes = BoxMode.convert(self.boxes, own_mode, mode).astype(np.float64).tolist()
        results: list[dict[str, Any]] = [
            {"image_id": self.image_id, "category_id": category_ids[label], "bbox": box, "score": score}
            for label, box, score in zip(
                self.classes.tolist(), boxes, self.scores.astype(np.float64).tolist(), strict=True
            )
        ]
        if self.rles is not None:
            for result, rle in zip(results, self.rles, strict=True):
                result["segmentation"] = rle
        if self.keypoints is not None:
            # Files hold the indices of pixels, whose middle is half a pixel on.
            points = self.keypoints.astype(np.float64) - (0.5, 0.5, 0.0)
            for result, row in zip(
                results, points.reshape(len(points), 3 * points.shape[1]).tolist(), strict=True
            ):
                result["keypoints"] = row
        return results


def instances_to_coco_json(
    instances: Instances, img_id: Any, *, category_ids: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """Return the detections of an image in the format of COCO's results files.

    Args:
        instances: predictions, in pixels of the original image.
        img_id: "image_id" of each.
        category_ids: what the file calls each class; None: the classes from 0, as the model has them.

    Returns:
        a dict for each: "image_id", "category_id", "bbox" (XYWH, or rotated), "score", and "segmentation"
        (run lengths) and "keypoints" where there are any.

    Raises:
        ValueError: a class without a category.
    """
    found = ImagePrediction.from_instances(img_id, instances)
    if category_ids is None:
        category_ids = range(int(found.classes.max(initial=-1)) + 1)
    return found.to_coco(category_ids)


def encode_masks(
    masks: Tensor | BitMasks | ROIMasks, boxes: Tensor, image_size: tuple[int, int]
) -> list[dict[str, Any]]:
    """Run lengths of N masks.

    Args:
        masks: (N, H, W) of whole images, or masks inside their boxes: `ROIMasks`, or (N, 1, M, M).
        boxes: (N, 4) XYXY in pixels; needed for masks inside boxes, which are never made as large as the
            image.
        image_size: (height, width) in pixels.

    Raises:
        ValueError: the masks are neither of whole images nor inside boxes
    """
    values = masks if isinstance(masks, Tensor) else masks.tensor
    if isinstance(masks, ROIMasks) or values.dim() == 4:
        values = values[:, 0] if values.dim() == 4 else values
        crops = paste_masks_in_boxes(values, boxes, image_size)
        corners = np.array([(crop.y0, crop.x0) for crop in crops], dtype=np.int64).reshape(-1, 2)
        return encode_crops([crop.mask.numpy() for crop in crops], *corners.T, image_size)
    if values.shape[1:] != torch.Size(image_size):
        raise ValueError(f"masks of {tuple(values.shape[1:])} for an image of {tuple(image_size)}")
    values = values if values.dtype == torch.bool else values > 0.5
    return encode_masks_near(values.numpy(), _windows(boxes, image_size))


def _windows(boxes: Tensor, image_size: tuple[int, int]) -> np.ndarray:
    """Return (N, 4) int64, the pixels of the image in which a mask of a box lies as a rule: a pixel around
    it; the whole image where the box is a rotated one.
    """
    height, width = image_size
    if boxes.shape[1] != 4:
        return np.tile(np.array([0, 0, width, height]), (len(boxes), 1))
    low, high = boxes[:, :2].floor() - 1, boxes[:, 2:].ceil() + 1
    corners = torch.cat((low, high), dim=1).nan_to_num().clamp(min=0)
    return corners.minimum(corners.new_tensor([width, height, width, height])).long().numpy()
