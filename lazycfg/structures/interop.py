"""`Instances` to and from what other libraries have for the objects of one image.

Each library is imported when it is needed. Boxes are XYXY in pixels on our side.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures.bit_masks import BitMasks
from lazycfg.structures.boxes import Boxes
from lazycfg.structures.instances import Instances
from lazycfg.structures.keypoints import Keypoints
from lazycfg.structures.polygon_masks import PolygonMasks
from lazycfg.structures.roi_masks import ROIMasks
from lazycfg.structures.rotated_boxes import RotatedBoxes

__all__ = [
    "from_fiftyone",
    "from_supervision",
    "from_torchvision",
    "to_fiftyone",
    "to_supervision",
    "to_torchvision",
]

Kind = Literal["pred", "gt"]
"""Predictions (``pred_boxes``, ``scores``, ``pred_classes``, ...) or ground truth (``gt_boxes``, ...)."""


def to_supervision(
    instances: Instances, class_names: Sequence[str] | None = None, *, kind: Kind = "pred"
) -> Any:
    """Return ``supervision.Detections``.

    Args:
        instances: boxes, and as far as they have them scores, classes, masks, keypoints, and the tracker's
            ``ID``.
        class_names: by class, for ``data["class_name"]``.
        kind: which fields to take.

    Returns:
        boxes, masks (N, H, W), classes, scores and IDs in its attributes; keypoints (N, K, 3) and every other
        field that is a tensor in ``data`` under our name; the size of the image in ``metadata``.

    Raises:
        ImportError: supervision is not installed.
        ValueError: there are no boxes, they are rotated, or a class has no name.
        TypeError: a field can be no array.
    """
    sv = _imported("supervision", "lazycfg[supervision]")
    boxes = _boxes(instances, kind)
    classes = _optional(instances, f"{kind}_classes")
    taken = {f"{kind}_boxes", f"{kind}_classes", f"{kind}_masks", "scores", "ID"}
    data: dict[str, Any] = {
        name: _array(value, name) for name, value in instances.get_fields().items() if name not in taken
    }
    if class_names is not None and classes is not None:
        data["class_name"] = np.array(_names(classes, class_names), dtype=str)
    masks = _masks(instances, kind)
    scores, ids = _optional(instances, "scores"), _optional(instances, "ID")
    return sv.Detections(
        xyxy=boxes.cpu().numpy().astype(np.float32),
        mask=None if masks is None else masks.cpu().numpy(),
        confidence=None if scores is None else scores.cpu().numpy(),
        class_id=None if classes is None else classes.cpu().numpy(),
        tracker_id=None if ids is None else np.asarray(ids, dtype=np.int64),
        data=data,
        metadata={"image_size": tuple(instances.image_size)},
    )


def from_supervision(
    detections: Any, image_size: tuple[int, int] | None = None, *, kind: Kind = "pred"
) -> Instances:
    """Return the `Instances` of ``supervision.Detections``; what `to_supervision` made comes back equal.

    Args:
        detections: any; names of classes are left out, since `Instances` have numbers.
        image_size: (height, width) in pixels; by default that of ``metadata``, or of the masks.
        kind: names of the fields to make.

    Raises:
        ValueError: the size of the image is not known.
    """
    if image_size is None:
        image_size = detections.metadata.get("image_size")
    mask = None if detections.mask is None else np.asarray(detections.mask)
    size = _size(image_size, mask)
    result = Instances(size, **{f"{kind}_boxes": Boxes(torch.from_numpy(detections.xyxy.astype(np.float32)))})
    if detections.confidence is not None:
        result.scores = torch.from_numpy(np.asarray(detections.confidence, dtype=np.float32))
    if detections.class_id is not None:
        result.set(f"{kind}_classes", torch.from_numpy(np.asarray(detections.class_id, dtype=np.int64)))
    if mask is not None:
        result.set(f"{kind}_masks", _as_masks(torch.from_numpy(mask.astype(bool)), kind))
    if detections.tracker_id is not None:
        result.ID = [int(number) for number in detections.tracker_id]
    for name, value in detections.data.items():
        if name != "class_name":
            tensor = torch.as_tensor(np.asarray(value))
            result.set(name, Keypoints(tensor) if name == "gt_keypoints" else tensor)
    return result


def to_torchvision(instances: Instances, *, kind: Kind = "pred") -> dict[str, Tensor]:
    """Return a dict as torchvision's detectors give it, or take it in training (``kind="gt"``).

    Labels are classes + 1: 0 is the background there. Masks are (N, 1, H, W) float of predictions and
    (N, H, W) uint8 of targets. Keypoints are (N, K, 3); the scores of predicted ones are
    ``keypoints_scores``, and their third number is 1.

    Raises:
        ValueError: there are no boxes, or they are rotated.
    """
    result = {"boxes": _boxes(instances, kind)}
    if (classes := _optional(instances, f"{kind}_classes")) is not None:
        result["labels"] = classes.long() + 1
    if (scores := _optional(instances, "scores")) is not None:
        result["scores"] = scores
    if (masks := _masks(instances, kind)) is not None:
        result["masks"] = masks[:, None].float() if kind == "pred" else masks.to(torch.uint8)
    if (points := _optional(instances, f"{kind}_keypoints")) is not None:
        points = points.tensor if isinstance(points, Keypoints) else points
        result["keypoints"] = points
        if kind == "pred":
            result["keypoints"] = torch.cat((points[..., :2], torch.ones_like(points[..., :1])), dim=-1)
            result["keypoints_scores"] = points[..., 2]
    return result


def from_torchvision(
    result: Mapping[str, Any], image_size: tuple[int, int] | None = None, *, kind: Kind = "pred"
) -> Instances:
    """Return the `Instances` of a dict of torchvision's detectors; ``image_id``, ``area`` and ``iscrowd`` of
    targets are left out.

    Args:
        result: "boxes", and any of "labels", "scores", "masks", "keypoints", "keypoints_scores".
        image_size: (height, width) in pixels; by default that of the masks. An object is where its predicted
            mask is at least 0.5.
        kind: names of the fields to make.

    Raises:
        ValueError: the size of the image is not known; a label is 0, the background; or there is another key.
    """
    known = {"boxes", "labels", "scores", "masks", "keypoints", "keypoints_scores"}
    if unknown := set(result) - known - {"image_id", "area", "iscrowd"}:
        raise ValueError(f"a dict of torchvision has {', '.join(sorted(known))}; got {sorted(unknown)[0]!r}")
    masks = result.get("masks")
    fields: dict[str, Any] = {f"{kind}_boxes": Boxes(result["boxes"])}
    if "labels" in result:
        if bool((result["labels"] < 1).any()):
            raise ValueError("labels of torchvision begin with 1, 0 is the background: got a label below 1")
        fields[f"{kind}_classes"] = result["labels"].long() - 1
    if "scores" in result:
        fields["scores"] = result["scores"]
    if masks is not None:
        masks = masks[:, 0] if masks.dim() == 4 else masks
        fields[f"{kind}_masks"] = _as_masks(masks >= 0.5, kind)
    if "keypoints" in result:
        points = result["keypoints"]
        if "keypoints_scores" in result:
            points = torch.cat((points[..., :2], result["keypoints_scores"][..., None]), dim=-1)
        fields[f"{kind}_keypoints"] = Keypoints(points) if kind == "gt" else points
    return Instances(_size(image_size, masks), **fields)


def to_fiftyone(
    instances: Instances, class_names: Sequence[str], *, kind: Kind = "pred", keypoints: bool = False
) -> Any:
    """Return ``fiftyone.Detections``, or with `keypoints` the ``fiftyone.Keypoints`` of the same objects.

    Boxes are x, y, width and height relative to the image there, and a mask is that of its box: what lies
    outside of the box is cut off.

    Args:
        instances: boxes and classes, and as far as they have them scores, masks and keypoints.
        class_names: by class.
        kind: which fields to take.
        keypoints: points, whose scores are their ``confidence``. A point that is not labelled (visibility 0
            of ground truth) is NaN.

    Raises:
        ImportError: fiftyone is not installed.
        ValueError: there are no boxes, classes or keypoints, the boxes are rotated, or a class has no name.
    """
    fo = _imported("fiftyone", "fiftyone")
    boxes = _boxes(instances, kind).double().cpu()
    labels = _names(_needed(instances, f"{kind}_classes"), class_names)
    scores = _optional(instances, "scores")
    confidence = [None] * len(labels) if scores is None else scores.tolist()
    height, width = instances.image_size
    if keypoints:
        points = _needed(instances, f"{kind}_keypoints")
        points = (points.tensor if isinstance(points, Keypoints) else points).double().cpu().clone()
        visible = points[..., 2] if kind == "gt" else torch.ones_like(points[..., 2])
        points[..., :2] /= points.new_tensor([width, height])
        points[..., :2][visible == 0] = float("nan")
        return fo.Keypoints(
            keypoints=[
                fo.Keypoint(
                    label=label,
                    points=[tuple(point) for point in of_object[:, :2].tolist()],
                    **({"confidence": of_object[:, 2].tolist()} if kind == "pred" else {}),
                )
                for label, of_object in zip(labels, points, strict=True)
            ]
        )
    size = boxes.new_tensor([width, height, width, height])
    corners = boxes / size
    relative = torch.cat((corners[:, :2], corners[:, 2:] - corners[:, :2]), dim=1).tolist()
    masks = _masks(instances, kind)
    crops: list[Any] = [None] * len(labels)
    if masks is not None:
        crops = [
            mask[y0:y1, x0:x1]
            for mask, (x0, y0, x1, y1) in zip(
                masks.cpu().numpy(), _pixels(boxes, (height, width)), strict=True
            )
        ]
    return fo.Detections(
        detections=[
            fo.Detection(label=label, bounding_box=box, confidence=score, mask=crop)
            for label, box, score, crop in zip(labels, relative, confidence, crops, strict=True)
        ]
    )


def from_fiftyone(
    detections: Any, image_size: tuple[int, int], class_names: Sequence[str], *, kind: Kind = "pred"
) -> Instances:
    """Return the `Instances` of ``fiftyone.Detections``.

    Args:
        detections: with a label of `class_names` each; scores and masks where all of them have some.
        image_size: (height, width) in pixels.
        class_names: by class.
        kind: names of the fields to make.

    Raises:
        ValueError: a label is none of the classes.
    """
    height, width = image_size
    found = list(detections.detections)
    relative = torch.tensor([list(x.bounding_box) for x in found], dtype=torch.float64).reshape(-1, 4)
    corners = torch.cat((relative[:, :2], relative[:, :2] + relative[:, 2:]), dim=1)
    boxes = (corners * corners.new_tensor([width, height, width, height])).float()
    numbers = {name: number for number, name in enumerate(class_names)}
    for x in found:
        if x.label not in numbers:
            raise ValueError(f"the label {x.label!r} is none of the {len(numbers)} classes")
    fields: dict[str, Any] = {
        f"{kind}_boxes": Boxes(boxes),
        f"{kind}_classes": torch.tensor([numbers[x.label] for x in found], dtype=torch.int64),
    }
    if found and all(x.confidence is not None for x in found):
        fields["scores"] = torch.tensor([x.confidence for x in found], dtype=torch.float32)
    if found and all(x.mask is not None for x in found):
        masks = np.zeros((len(found), height, width), dtype=bool)
        for mask, x, (x0, y0, x1, y1) in zip(masks, found, _pixels(boxes, image_size), strict=True):
            crop = np.asarray(x.mask) > 0
            if crop.shape != (y1 - y0, x1 - x0):  # of another tool: nearest pixels
                rows = np.arange(y1 - y0) * crop.shape[0] // max(y1 - y0, 1)
                columns = np.arange(x1 - x0) * crop.shape[1] // max(x1 - x0, 1)
                crop = crop[rows][:, columns]
            mask[y0:y1, x0:x1] = crop
        fields[f"{kind}_masks"] = _as_masks(torch.from_numpy(masks), kind)
    return Instances(image_size, **fields)


def _imported(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"this needs {module}: pip install '{package}'") from error


def _optional(instances: Instances, name: str) -> Any:
    return instances.get(name) if instances.has(name) else None


def _needed(instances: Instances, name: str) -> Any:
    if not instances.has(name):
        have = ", ".join(instances.get_fields()) or "none"
        raise ValueError(f"the instances have no {name} (fields: {have})")
    return instances.get(name)


def _boxes(instances: Instances, kind: Kind) -> Tensor:
    boxes = _needed(instances, f"{kind}_boxes")
    if isinstance(boxes, RotatedBoxes):
        raise ValueError("the boxes are rotated, those of the other library are upright")
    return boxes.tensor if isinstance(boxes, Boxes) else boxes


def _masks(instances: Instances, kind: Kind) -> Tensor | None:
    """Return (N, H, W) bool, whatever the masks are kept as."""
    masks = _optional(instances, f"{kind}_masks")
    height, width = instances.image_size
    if isinstance(masks, ROIMasks):
        masks = masks.to_bitmasks(_boxes(instances, kind), height, width)
    elif isinstance(masks, PolygonMasks):
        masks = BitMasks.from_polygon_masks(masks, height, width)
    return masks.tensor if isinstance(masks, BitMasks) else masks


def _as_masks(masks: Tensor, kind: Kind) -> Tensor | BitMasks:
    return BitMasks(masks) if kind == "gt" else masks


def _names(classes: Tensor, class_names: Sequence[str]) -> list[str]:
    numbers = classes.tolist()
    if wrong := [number for number in numbers if not 0 <= number < len(class_names)]:
        raise ValueError(f"class {wrong[0]} has no name: there are {len(class_names)}")
    return [str(class_names[number]) for number in numbers]


def _array(value: Any, name: str) -> np.ndarray:
    value = getattr(value, "tensor", value)
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return value
    raise TypeError(f"{name} is a {type(value).__name__}, which can be no array: remove it first")


def _size(image_size: tuple[int, int] | None, masks: Any) -> tuple[int, int]:
    if image_size is not None:
        return (int(image_size[0]), int(image_size[1]))
    if masks is None:
        raise ValueError("the size of the image is not known: give image_size=(height, width)")
    return (int(masks.shape[-2]), int(masks.shape[-1]))


def _pixels(boxes: Tensor, image_size: tuple[int, int]) -> list[list[int]]:
    """Return the pixels that boxes reach into: x0, y0, x1, y1 of each, the last two exclusive."""
    height, width = image_size
    low, high = boxes[:, :2].floor(), boxes[:, 2:].ceil()
    corners = torch.cat((low, torch.maximum(low, high)), dim=1).long()
    bounds = corners.new_tensor([width, height, width, height])
    return torch.minimum(corners.clamp(min=0), bounds).tolist()
