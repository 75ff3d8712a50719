"""Label maps of `ShapesDataset`, for semantic and panoptic segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

LabelMaps = Literal["none", "semantic", "panoptic", "joint"]


def stuff_classes(kind: LabelMaps, classes: Sequence[str]) -> tuple[str, ...]:
    """Names of the labels: of ground and shapes, of things together and ground, or of shapes and ground."""
    names = {"none": (), "semantic": ("ground", *classes), "panoptic": ("things", "ground")}
    return names.get(kind, (*classes, "ground"))


def label_fields(
    kind: LabelMaps, owner: np.ndarray, classes: Sequence[int], num_classes: int
) -> dict[str, Any]:
    """Return the fields of a record that hold label maps.

    Args:
        owner: (H, W), 0 for the ground and k for shape k.
        classes: of the shapes, from shape 1 on.
        num_classes: how many there are.

    Returns:
        for "semantic" "sem_seg" (H, W) uint8, 0 for the ground and 1 + class for shapes; for "panoptic"
        "sem_seg", 0 for shapes and 1 for the ground, "pan_seg" (H, W) int32 ids, and "segments_info"; for
        "joint" the same with "sem_seg" the class for shapes and `num_classes` for the ground.
    """
    if kind == "none":
        return {}
    if kind == "semantic":
        return {"sem_seg": np.array([0, *(c + 1 for c in classes)], dtype=np.uint8)[owner]}
    ground = num_classes if kind == "joint" else 1
    of_shapes = classes if kind == "joint" else [0] * len(classes)
    ids = owner.astype(np.int32) + 1  # 0 stands for no segment
    infos = [{"id": 1, "category_id": ground, "isthing": False, "iscrowd": 0}]
    infos += [{"id": k + 2, "category_id": c, "isthing": True, "iscrowd": 0} for k, c in enumerate(classes)]
    visible = set(np.unique(ids).tolist())
    return {
        "sem_seg": np.array([ground, *of_shapes], dtype=np.uint8)[owner],
        "pan_seg": ids,
        "segments_info": [info for info in infos if info["id"] in visible],
    }
