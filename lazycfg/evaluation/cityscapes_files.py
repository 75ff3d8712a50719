"""The ground truth that Cityscapes' own metrics are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from lazycfg.utils.cityscapes import LABELS, ground_truth_file

__all__ = ["ground_truth_folder", "label_ids", "read_ground_truth"]


def ground_truth_folder(dataset: Any, evaluator: str) -> str:
    """Return the folder of a dataset's ground truth.

    Raises:
        ValueError: the dataset does not tell it.
    """
    folder = getattr(dataset.metadata, "extra", {}).get("gt_dir")
    if folder is None:
        raise ValueError(
            f"{evaluator}: the metadata of {dataset.metadata.name!r} has no extra['gt_dir'], the folder of "
            "Cityscapes' *_gtFine_*.png files; give the dataset its gt_dir"
        )
    return folder


def label_ids(classes: Sequence[str], evaluator: str) -> np.ndarray:
    """Return the (K,) ids of the labels of the classes, by their names.

    Raises:
        ValueError: a class that Cityscapes does not have.
    """
    ids = {label.name: label.id for label in LABELS}
    unknown = [name for name in classes if name not in ids]
    if unknown or not classes:
        raise ValueError(f"{evaluator}: the classes {unknown[:5]} of the dataset are none of Cityscapes'")
    return np.array([ids[name] for name in classes], dtype=np.int64)


def read_ground_truth(folder: str, item: Mapping[str, Any], kind: str, size: tuple[int, ...]) -> np.ndarray:
    """Return a map (H, W) int64 of the ground truth of an input.

    Args:
        item: with "file_name".
        kind: "labelIds" or "instanceIds".
        size: of the prediction.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it has another size than the prediction.
    """
    path = ground_truth_file(folder, item["file_name"], kind)
    if not path.is_file():
        raise FileNotFoundError(
            f"the ground truth of {item['file_name']!r} is missing: no file {str(path)!r}"
        )
    with Image.open(path) as file:
        values = np.asarray(file).astype(np.int64)
    if values.shape != tuple(size):
        raise ValueError(
            f"{item['file_name']}: the prediction is of {tuple(size)} pixels, {path.name} has {values.shape}"
        )
    return values
