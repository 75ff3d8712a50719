"""The annotations of a dataset object in the form of a COCO file, which is what COCO's metrics are defined
on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lazycfg.evaluation.label_maps import get_record
from lazycfg.evaluation.tables import distinct_names
from lazycfg.structures import BoxMode
from lazycfg.structures.rle import rle_area

__all__ = ["category_ids", "coco_ground_truth", "segmentation_area"]


def category_ids(metadata: Any, num_classes: int) -> list[int]:
    """Return the ids that the classes 0, 1, ... have in COCO files: the dataset's own, else 1, 2, ...

    A class that the dataset does not have gets one that no other class has.
    """
    to_contiguous: Mapping[int, int] = getattr(metadata, "thing_dataset_id_to_contiguous_id", None) or {}
    to_file = {contiguous: original for original, contiguous in to_contiguous.items()}
    ids: list[int] = []
    for index in range(num_classes):
        own = to_file.get(index, index + 1)
        while index not in to_file and own in to_contiguous:
            own += num_classes
        ids.append(int(own))
    return ids


def coco_ground_truth(
    dataset: Any, *, rotated: bool = False, image_keys: Sequence[str] = ()
) -> dict[str, Any]:
    """Collect the records of a dataset.

    Args:
        dataset: has ``__len__``, ``metadata``, and ``get_annotations(i)`` or ``__getitem__(i)``, giving
            records with "height", "width", "image_id" and "annotations".
        rotated: give boxes XYWHA.
        image_keys: further keys of records that are kept in "images".

    Returns:
        ``{"images", "annotations", "categories"}`` with boxes XYWH in pixels, category ids of the file, and
        keypoints as pixel indices (half a pixel less than in records).

    Raises:
        ValueError: naming the record that is not complete, or has the image_id of another.
    """
    mode = BoxMode.XYWHA_ABS if rotated else BoxMode.XYWH_ABS
    names = _class_names(dataset)
    ids = category_ids(dataset.metadata, len(names))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    seen: dict[Any, int] = {}
    for index in range(len(dataset)):
        record = get_record(dataset, index)
        where = f"record {index} ({record.get('file_name', 'no file_name')})"
        if "height" not in record or "width" not in record:
            raise ValueError(f"{where} has no height and width, which an evaluation needs")
        image_id = record.get("image_id", index)
        first = seen.setdefault(image_id, index)
        if first != index:
            raise ValueError(
                f"{where} has the image_id {image_id!r} of record {first}; predictions are told apart by it"
            )
        kept = {key: record[key] for key in image_keys if key in record}
        images.append(
            {"id": image_id, "height": int(record["height"]), "width": int(record["width"]), **kept}
        )
        for annotation in record.get("annotations", ()):
            try:
                converted = _annotation(annotation, ids, mode)
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise ValueError(f"an annotation of {where} cannot be evaluated: {error!r}") from error
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **converted})
    categories = [{"id": id, "name": name} for id, name in zip(ids, names, strict=True)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def _class_names(dataset: Any) -> list[str]:
    names = list(getattr(dataset.metadata, "thing_classes", None) or ())
    count = getattr(dataset, "num_classes", len(names))
    return distinct_names(names) or [f"class {index}" for index in range(count)]


def _annotation(annotation: Mapping[str, Any], ids: list[int], mode: BoxMode) -> dict[str, Any]:
    box = BoxMode.convert(list(annotation["bbox"]), annotation["bbox_mode"], mode)
    label = annotation["category_id"]
    if not 0 <= label < len(ids):
        raise ValueError(f"category_id {label}, expected 0 to {len(ids) - 1}: the classes count from 0")
    result: dict[str, Any] = {
        "category_id": ids[label],
        "bbox": [float(value) for value in box],
        "iscrowd": int(annotation.get("iscrowd", 0)),
    }
    area = float(box[2] * box[3])
    segmentation = annotation.get("segmentation")
    if segmentation:
        result["segmentation"] = (
            segmentation if isinstance(segmentation, dict) else list(map(_flat, segmentation))
        )
        if "area" not in annotation:
            area = segmentation_area(result["segmentation"])
    result["area"] = float(annotation.get("area", area))
    if "segmentation" in annotation.get("unusable", ()):
        result["unusable"] = True
    if "keypoints" in annotation:
        points = np.array(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
        # Records give positions, files the indices of pixels, whose middle is half a pixel on.
        labelled = points[:, 2] > 0
        points[labelled, :2] -= 0.5
        result["keypoints"] = points.ravel().tolist()
        result["num_keypoints"] = int(labelled.sum())
    return result


def _flat(polygon: Any) -> list[float]:
    return np.asarray(polygon, dtype=np.float64).ravel().tolist()


def segmentation_area(segmentation: Any) -> float:
    """Return the pixels inside polygons or run lengths, which make an object small, medium or large."""
    if isinstance(segmentation, dict):
        return float(rle_area(segmentation))
    area = 0.0
    for polygon in segmentation:
        x, y = np.array(polygon).reshape(-1, 2).T
        area += 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y)))
    return area
