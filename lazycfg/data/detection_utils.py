"""From annotations of a record to the `Instances` a model trains on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures import BitMasks, Boxes, BoxMode, Instances, Keypoints, PolygonMasks, RotatedBoxes
from lazycfg.structures.rle import decode_rle
from lazycfg.structures.rotated_overlap import upright_reach
from lazycfg.utils import printable

from .datasets.coco_keypoints import COCO_PERSON_KEYPOINT_HFLIP_INDICES
from .datasets.contours import mask_to_polygons
from .datasets.metadata import Metadata
from .image import ImageError, swapped_hint
from .transforms import CropTransform, Transform, TransformList
from .transforms.transform import image_size

MaskFormat = Literal["polygon", "bitmask"]
Annotation = dict[str, Any]

# What pads label maps (0, 255 or a class) must not become part of a mask that is moved as one.
_OBJECT = np.uint8(173)


def check_image_size(record: dict[str, Any], image: Tensor | np.ndarray) -> None:
    """Compare an image with its record, and fill in "height" and "width" where the record has none.

    Args:
        image: tensor (C, H, W), or array (H, W) or (H, W, C).

    Raises:
        ImageError: they differ.
    """
    height, width = image_size(image)
    expected = record.get("height"), record.get("width")
    if expected[0] is not None and expected[1] is not None and expected != (height, width):
        hint = swapped_hint(expected, (height, width))
        raise ImageError(
            f"image {record.get('file_name', '')!r} (image_id {printable(record.get('image_id'))}) is "
            f"{width}x{height} (width x height) but its record says {expected[1]}x{expected[0]}{hint}"
        )
    record["height"], record["width"] = height, width


def create_keypoint_hflip_indices(metadata: Metadata | str) -> np.ndarray:
    """Return (K,) the index of the keypoint that takes the place of each one in a mirrored image.

    Args:
        metadata: that of a dataset. The name of one of COCO's, `"keypoints_coco_2017_train"`, stands for the
            17 keypoints of its persons.

    Raises:
        ValueError: `keypoint_flip_map` names something that is not in `keypoint_names`, or the text is no
            name of COCO's keypoints.
    """
    if isinstance(metadata, str):
        if not metadata.startswith("keypoints_coco_"):
            raise ValueError(
                f"no keypoints are known for the name {metadata!r}: pass the metadata of the dataset, "
                "create_keypoint_hflip_indices(dataset.metadata)"
            )
        return np.array(COCO_PERSON_KEYPOINT_HFLIP_INDICES, dtype=np.int64)
    names = list(metadata.keypoint_names)
    partner = dict(metadata.keypoint_flip_map)
    partner.update({b: a for a, b in partner.items()})
    unknown = sorted(set(partner) - set(names))
    if unknown:
        raise ValueError(f"keypoint_flip_map names {unknown}, which are not among keypoint_names {names}")
    return np.array([names.index(partner.get(n, n)) for n in names], dtype=np.int64)


def transform_instance_annotations(
    annotation: Annotation,
    transforms: Transform | Sequence[Transform],
    image_size: tuple[int, int],
    *,
    keypoint_hflip_indices: np.ndarray | None = None,
    mask_format: MaskFormat = "bitmask",
) -> Annotation:
    """Apply transforms to one annotation, see `transform_annotations`; a run-length encoded mask becomes an
    array (H, W) by default, as in detectron2.
    """
    return transform_annotations(
        [annotation],
        transforms,
        image_size,
        keypoint_hflip_indices=keypoint_hflip_indices,
        mask_format=mask_format,
    )[0]


def transform_annotations(
    annotations: Sequence[Annotation],
    transforms: Transform | Sequence[Transform],
    image_size: tuple[int, int],
    *,
    keypoint_hflip_indices: np.ndarray | None = None,
    mask_format: MaskFormat = "polygon",
    rotated: bool = False,
) -> list[Annotation]:
    """Apply the transforms of an image to the boxes, masks and keypoints of its annotations.

    Args:
        image_size: (height, width) after the transforms.
        keypoint_hflip_indices: see `create_keypoint_hflip_indices`; needed when keypoints are mirrored.
        mask_format: run-length encoded masks and arrays (H, W) stay masks for "bitmask" and become polygons
            for "polygon".
        rotated: give rotated boxes; upright ones have the angle 0.

    Returns:
        new dicts with "bbox" XYXY (clipped to the image; XYWHA are not), "segmentation" as list of flat
        polygons (2 K,) or mask (H, W), "keypoints" (K, 3). What has left the image is empty or, for
        keypoints, has visibility 0.
    """
    if not isinstance(transforms, Transform):
        transforms = TransformList(transforms)
    result = [dict(a) for a in annotations]
    if not result:
        return result
    mode = BoxMode.XYWHA_ABS if rotated else BoxMode.XYXY_ABS
    boxes = np.array([BoxMode.convert(list(a["bbox"]), a["bbox_mode"], mode) for a in result])
    height, width = image_size
    if rotated:
        boxes = transforms.apply_rotated_box(boxes)
    else:
        boxes = np.clip(transforms.apply_box(boxes), 0, [width, height, width, height])
    for annotation, box in zip(result, boxes, strict=True):
        annotation["bbox"] = box
        annotation["bbox_mode"] = mode
        if "keypoints" in annotation:
            annotation["keypoints"] = transform_keypoint_annotations(
                annotation["keypoints"], transforms, image_size, keypoint_hflip_indices
            )
    _transform_segmentations(result, transforms, mask_format)
    return result


def _transform_segmentations(
    annotations: list[Annotation], transforms: Transform, mask_format: MaskFormat
) -> None:
    polygons: list[np.ndarray] = []
    owners: list[tuple[Annotation, int]] = []  # annotation, how many polygons
    for annotation in annotations:
        segmentation = annotation.get("segmentation")
        if segmentation is None:
            continue
        if isinstance(segmentation, dict | np.ndarray):
            mask = decode_rle(segmentation) if isinstance(segmentation, dict) else segmentation
            if mask_format == "bitmask":
                labels = mask.astype(np.uint8) * _OBJECT
                annotation["segmentation"] = transforms.apply_segmentation(labels) == _OBJECT
                continue
            segmentation = mask_to_polygons(mask)
        parts = [np.asarray(p, dtype=np.float64).reshape(-1, 2) for p in segmentation]
        polygons += parts
        owners.append((annotation, len(parts)))
    moved = iter(transforms.apply_polygons(polygons))
    for annotation, count in owners:
        parts = [next(moved) for _ in range(count)]
        annotation["segmentation"] = [p.reshape(-1) for p in parts if len(p) >= 3]


def transform_keypoint_annotations(
    keypoints: Sequence[float] | np.ndarray,
    transforms: Transform,
    image_size: tuple[int, int],
    keypoint_hflip_indices: np.ndarray | None = None,
) -> np.ndarray:
    """Apply transforms to keypoints, flat [x, y, visibility, ...] or (K, 3), and return them as (K, 3).

    Points outside `image_size` (height, width) get visibility 0, and points of visibility 0 get (0, 0).

    Raises:
        ValueError: mirrored without `keypoint_hflip_indices`, or with those of another number of keypoints.
    """
    points = np.array(keypoints, dtype=np.float64).reshape(-1, 3)
    points[:, :2] = transforms.apply_coords(points[:, :2])
    inside = ((points[:, :2] >= 0) & (points[:, :2] <= [image_size[1], image_size[0]])).all(axis=1)
    points[~inside, 2] = 0
    steps = transforms if isinstance(transforms, TransformList) else [transforms]
    if sum(t.swaps_sides for t in steps) % 2 == 1:
        if keypoint_hflip_indices is None:
            raise ValueError(
                "keypoints are mirrored but it is not known which swap: give the mapper "
                "keypoint_hflip_indices=create_keypoint_hflip_indices(metadata)"
            )
        if len(keypoint_hflip_indices) != len(points):
            raise ValueError(
                f"an annotation has {len(points)} keypoints, "
                f"keypoint_hflip_indices has {len(keypoint_hflip_indices)}"
            )
        points = points[np.asarray(keypoint_hflip_indices)]
    points[points[:, 2] == 0] = 0
    return points


def annotations_to_instances(
    annotations: Sequence[Annotation], image_size: tuple[int, int], mask_format: MaskFormat = "polygon"
) -> Instances:
    """Make `Instances` of transformed annotations (see `transform_annotations`).

    Args:
        image_size: (height, width).
        mask_format: `gt_masks` as `PolygonMasks` or as `BitMasks`.

    Returns:
        fields `gt_boxes` (Boxes), `gt_classes` (int64) and, where annotated, `gt_masks` and `gt_keypoints`.

    Raises:
        ValueError: some annotations have a segmentation (or keypoints) and others have none.
    """
    boxes = _boxes(annotations, BoxMode.XYXY_ABS)
    return _instances(annotations, Boxes(boxes), image_size, mask_format)


def annotations_to_instances_rotated(
    annotations: Sequence[Annotation], image_size: tuple[int, int], mask_format: MaskFormat = "polygon"
) -> Instances:
    """As `annotations_to_instances`, with `gt_boxes` as `RotatedBoxes`.

    Of the boxes that reach out of the image those are clipped that are nearly upright; those that have left
    it become empty.
    """
    boxes = RotatedBoxes(_boxes(annotations, BoxMode.XYWHA_ABS))
    boxes.clip(image_size)
    gone = (boxes.tensor[:, :2] - boxes.tensor.new_tensor(image_size[::-1]) / 2).abs()
    gone = (gone >= upright_reach(boxes.tensor) + boxes.tensor.new_tensor(image_size[::-1]) / 2).any(dim=1)
    boxes.tensor[:, 2:4] = boxes.tensor[:, 2:4].masked_fill(gone[:, None], 0.0)
    return _instances(annotations, boxes, image_size, mask_format)


def _boxes(annotations: Sequence[Annotation], mode: BoxMode) -> Tensor:
    boxes = [BoxMode.convert(np.asarray(a["bbox"], np.float64), a["bbox_mode"], mode) for a in annotations]
    size = 5 if mode == BoxMode.XYWHA_ABS else 4
    return torch.from_numpy(np.array(boxes, dtype=np.float32).reshape(-1, size))


def _instances(
    annotations: Sequence[Annotation],
    boxes: Boxes | RotatedBoxes,
    image_size: tuple[int, int],
    mask_format: MaskFormat,
) -> Instances:
    instances = Instances(image_size)
    instances.gt_boxes = boxes
    instances.gt_classes = torch.tensor([int(a["category_id"]) for a in annotations], dtype=torch.int64)
    if _all_have(annotations, "segmentation"):
        instances.gt_masks = _masks([a["segmentation"] for a in annotations], image_size, mask_format)
    if _all_have(annotations, "keypoints"):
        keypoints = np.array(
            [np.asarray(a["keypoints"]).reshape(-1, 3) for a in annotations], dtype=np.float32
        )
        instances.gt_keypoints = Keypoints(torch.from_numpy(keypoints))
    return instances


def _all_have(annotations: Sequence[Annotation], key: str) -> bool:
    have = sum(a.get(key) is not None for a in annotations)
    if 0 < have < len(annotations):
        raise ValueError(
            f"{have} of the {len(annotations)} annotations of an image have {key!r}, the others none"
        )
    return have > 0


def _masks(
    segmentations: Sequence[Any], image_size: tuple[int, int], mask_format: MaskFormat
) -> PolygonMasks | BitMasks:
    if mask_format == "polygon":
        for s in segmentations:
            if not isinstance(s, list | tuple):
                raise ValueError('an instance has a mask instead of polygons: use mask_format="bitmask"')
        return PolygonMasks([[np.asarray(p).reshape(-1) for p in s] for s in segmentations])
    if mask_format != "bitmask":
        raise ValueError(f'mask_format must be "polygon" or "bitmask", got {mask_format!r}')
    height, width = image_size
    masks = torch.zeros(len(segmentations), height, width, dtype=torch.bool)
    outlined = [i for i, s in enumerate(segmentations) if isinstance(s, list | tuple)]
    polygons = [[np.asarray(p).reshape(-1) for p in segmentations[i]] for i in outlined]
    if polygons:
        masks[outlined] = BitMasks.from_polygon_masks(polygons, height, width).tensor
    for i, s in enumerate(segmentations):
        if not isinstance(s, list | tuple):
            masks[i] = torch.as_tensor(decode_rle(s) if isinstance(s, dict) else s)
    return BitMasks(masks)


def filter_empty_instances(
    instances: Instances, *, by_box: bool = True, by_mask: bool = True, box_threshold: float = 1e-5
) -> Instances:
    """Instances whose box is wider and higher than `box_threshold` pixels and whose mask is not empty."""
    keep = torch.ones(len(instances), dtype=torch.bool)
    if by_box and instances.has("gt_boxes"):
        keep &= instances.gt_boxes.nonempty(threshold=box_threshold)
    if by_mask and instances.has("gt_masks"):
        keep &= instances.gt_masks.nonempty()
    return instances if bool(keep.all()) else instances[keep]


def gen_crop_transform_with_instance(
    crop_size: tuple[int, int],
    image_size: tuple[int, int],
    instance: Annotation,
    *,
    rng: np.random.Generator | None = None,
) -> CropTransform:
    """Draw a crop that holds the middle of an object's box.

    Args:
        crop_size: (height, width) of the crop, pixels.
        image_size: (height, width) of the image.
        instance: an annotation, with "bbox" and "bbox_mode".
        rng: draws the place; a fresh generator when None.

    Raises:
        ValueError: the crop is larger than the image, or the middle of the box is outside of it.
    """
    rng = np.random.default_rng() if rng is None else rng
    x0, y0, x1, y1 = BoxMode.convert(list(instance["bbox"]), instance["bbox_mode"], BoxMode.XYXY_ABS)
    middle = np.array([(y0 + y1) / 2, (x0 + x1) / 2])
    crop, image = np.asarray(crop_size, dtype=np.int64), np.asarray(image_size, dtype=np.int64)
    if (crop > image).any() or (crop < 1).any():
        raise ValueError(
            f"a crop of (height, width) = {tuple(crop_size)} from an image of {tuple(image_size)}"
        )
    if (middle < 0).any() or (middle > image).any():
        box = [float(value) for value in (x0, y0, x1, y1)]
        raise ValueError(f"the middle of the box {box} (XYXY) is outside of the image of {tuple(image_size)}")
    lowest = np.maximum(np.floor(middle).astype(np.int64) - crop, 0)
    highest = np.minimum(np.maximum(image - crop, 0), np.ceil(middle).astype(np.int64))
    top, left = (int(rng.integers(low, high + 1)) for low, high in zip(lowest, highest, strict=True))
    return CropTransform(left, top, int(crop[1]), int(crop[0]), int(image[1]), int(image[0]))


def transform_proposals(
    record: dict[str, Any],
    image_size: tuple[int, int],
    transforms: Transform,
    *,
    topk: int,
    min_box_size: float = 0,
) -> None:
    """Replace "proposal_boxes" (N, 4) in "proposal_bbox_mode" and "proposal_objectness_logits" (N,), best
    first, by "proposals": `Instances` with `proposal_boxes` and `objectness_logits`, the best `topk` of those
    that remain in the image.

    Args:
        image_size: (height, width) after the transforms.
        min_box_size: smaller ones are left out, pixels.
    """
    if "proposal_boxes" not in record:
        return
    mode = record.pop("proposal_bbox_mode", BoxMode.XYXY_ABS)
    boxes = BoxMode.convert(
        np.asarray(record.pop("proposal_boxes"), dtype=np.float64), mode, BoxMode.XYXY_ABS
    )
    moved = Boxes(torch.from_numpy(transforms.apply_box(boxes).astype(np.float32)))
    logits = torch.as_tensor(np.asarray(record.pop("proposal_objectness_logits"), dtype=np.float32))
    moved.clip(image_size)
    keep = moved.nonempty(threshold=min_box_size)
    proposals = Instances(image_size)
    proposals.proposal_boxes = moved[keep][:topk]
    proposals.objectness_logits = logits[keep][:topk]
    record["proposals"] = proposals
