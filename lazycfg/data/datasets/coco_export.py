"""Writing any dataset as COCO files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lazycfg.structures import BoxMode
from lazycfg.utils import atomic_write

from .base import Record, get_annotations
from .metadata import Metadata


def convert_to_coco_dict(dataset: Any) -> dict[str, Any]:
    """Return the annotations of a dataset as the content of a COCO file (boxes XYWH or XYWHA, keypoints as
    pixel indices).
    """
    metadata: Metadata = dataset.metadata
    to_file = {v: k for k, v in metadata.thing_dataset_id_to_contiguous_id.items()}
    categories = []
    for i, name in enumerate(metadata.thing_classes):
        category: dict[str, Any] = {"id": to_file.get(i, i + 1), "name": name}
        if metadata.keypoint_names:
            names = list(metadata.keypoint_names)
            category["keypoints"] = names
            lines = [(a, b) for a, b, _ in metadata.keypoint_connection_rules if {a, b} <= set(names)]
            category["skeleton"] = [[names.index(a) + 1, names.index(b) + 1] for a, b in lines]
        categories.append(category)
    images, annotations = [], []
    for i in range(len(dataset)):
        record = get_annotations(dataset, i)
        image_id = record.get("image_id", i)
        images.append(
            {
                "id": image_id,
                "file_name": str(record.get("file_name", f"{i:06d}.png")),
                "height": int(record["height"]),
                "width": int(record["width"]),
            }
        )
        for annotation in record.get("annotations", ()):
            annotations.append(_coco_annotation(annotation, len(annotations) + 1, image_id, to_file))
    return {
        "info": {"description": metadata.name},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def convert_to_coco_json(dataset: Any, output_file: str | Path) -> Path:
    """Write a dataset's annotations as a COCO annotation file, and return its path."""
    output_file = Path(output_file)
    output_file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(output_file) as temporary:
        Path(temporary).write_text(json.dumps(convert_to_coco_dict(dataset)))
    return output_file


def export_coco(dataset: Any, folder: str | Path) -> tuple[Path, Path]:
    """Write the images a dataset keeps in memory to `folder`/images and its annotations to
    `folder`/annotations.json.

    Returns:
        (annotation file, folder of the images)

    Raises:
        ValueError: a record has no "image"
    """
    images = Path(folder) / "images"
    images.mkdir(parents=True, exist_ok=True)
    for i in range(len(dataset)):
        record: Record = dataset[i]
        if "image" not in record:
            raise ValueError(f"record {i} has no 'image'; for images in files use convert_to_coco_json")
        picture = record["image"]
        array = picture.permute(1, 2, 0).numpy() if isinstance(picture, torch.Tensor) else picture
        Image.fromarray(np.ascontiguousarray(array)).save(
            images / Path(record.get("file_name", f"{i:06d}.png")).name
        )
    return convert_to_coco_json(dataset, Path(folder) / "annotations.json"), images


def _coco_annotation(
    annotation: dict[str, Any], number: int, image_id: Any, to_file: dict[int, int]
) -> dict[str, Any]:
    rotated = annotation["bbox_mode"] == BoxMode.XYWHA_ABS  # written as five numbers
    mode = BoxMode.XYWHA_ABS if rotated else BoxMode.XYWH_ABS
    bbox = BoxMode.convert(list(annotation["bbox"]), annotation["bbox_mode"], mode)
    bbox = [float(v) for v in bbox]
    category = annotation["category_id"]
    result: dict[str, Any] = {
        "id": number,
        "image_id": image_id,
        "category_id": to_file.get(category, category + 1),
        "bbox": bbox,
        "iscrowd": int(annotation.get("iscrowd", 0)),
        "area": float(annotation.get("area", bbox[2] * bbox[3])),
    }
    segmentation = annotation.get("segmentation")
    if segmentation:
        if isinstance(segmentation, dict):
            counts = segmentation["counts"]
            if isinstance(counts, bytes):
                segmentation = {**segmentation, "counts": counts.decode("ascii")}
            result["segmentation"] = segmentation
        else:
            result["segmentation"] = [np.asarray(p, dtype=np.float64).ravel().tolist() for p in segmentation]
            if "area" not in annotation:
                result["area"] = sum(_polygon_area(p) for p in result["segmentation"])
    if "keypoints" in annotation:
        keypoints = [float(v) for v in annotation["keypoints"]]
        # Files hold pixel indices, records continuous coordinates; points that are not labelled stay (0, 0).
        for i in range(0, len(keypoints), 3):
            labelled = keypoints[i + 2] > 0
            keypoints[i : i + 2] = [v - 0.5 if labelled else 0.0 for v in keypoints[i : i + 2]]
            keypoints[i + 2] = int(keypoints[i + 2])
        result["keypoints"] = keypoints
        result["num_keypoints"] = sum(1 for v in keypoints[2::3] if v > 0)
    return result


def _polygon_area(flat: list[float]) -> float:
    x, y = np.asarray(flat[0::2]), np.asarray(flat[1::2])
    return float(0.5 * abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)))
