"""The true label maps of a dataset's records, found by image id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from lazycfg.utils.segment_ids import rgb2id

__all__ = ["RecordIndex", "get_record", "read_panoptic", "read_sem_seg", "segments_of_labels"]


def get_record(dataset: Any, index: int) -> Mapping[str, Any]:
    """Return a record, without making its image if the dataset has a `get_annotations`."""
    get = getattr(dataset, "get_annotations", None) or dataset.__getitem__
    record: Mapping[str, Any] = get(index)
    return record


class RecordIndex:
    """Records of a dataset by their image id; the ids are collected at the first use."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self._positions: dict[Any, int] | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, image_id: Any) -> Mapping[str, Any]:
        if self._positions is None:
            count = len(self.dataset)
            self._positions = {get_record(self.dataset, i).get("image_id", i): i for i in range(count)}
        if image_id not in self._positions:
            raise KeyError(f"image_id {image_id!r} is not one of the dataset's {len(self._positions)}")
        return self.dataset[self._positions[image_id]]


def read_sem_seg(record: Mapping[str, Any]) -> np.ndarray:
    """Return the labels (H, W) int64 of a record: its "sem_seg", or the image "sem_seg_file_name".

    Raises:
        ValueError: the record has neither
    """
    if "sem_seg" in record:
        return _array(record["sem_seg"]).astype(np.int64)
    if "sem_seg_file_name" in record:
        from PIL import Image

        with Image.open(record["sem_seg_file_name"]) as file:
            return np.asarray(file).astype(np.int64)
    raise ValueError(_lacks(record, "sem_seg", "sem_seg_file_name"))


def read_panoptic(record: Mapping[str, Any]) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Return the segment ids (H, W) int64 of a record, and its "segments_info".

    The ids are the record's "pan_seg", or in the colours of the image "pan_seg_file_name" (red + 256 green
    + 65536 blue).

    Raises:
        ValueError: the record has no segments
    """
    if "segments_info" not in record:
        raise ValueError(_lacks(record, "segments_info"))
    segments = [dict(segment) for segment in record["segments_info"]]
    if "pan_seg" in record:
        return _array(record["pan_seg"]).astype(np.int64), segments
    if "pan_seg_file_name" in record:
        from PIL import Image

        with Image.open(record["pan_seg_file_name"]) as file:
            return rgb2id(np.asarray(file.convert("RGB"))), segments
    raise ValueError(_lacks(record, "pan_seg", "pan_seg_file_name"))


def segments_of_labels(labels: np.ndarray, metadata: Any) -> list[dict[str, Any]]:
    """Return the segments of a map whose labels tell their classes.

    Args:
        labels: (H, W), ``class * metadata.label_divisor + k``, k of instances from 1; negative for nothing.
        metadata: with a name in ``stuff_classes`` for each class, those of things among them.

    Returns:
        dicts with "id" (the label), "isthing" and "category_id", the number of the class among things or
        stuff.

    Raises:
        ValueError: a class that there is not, or things that have no class of their own.
    """
    names, things = list(metadata.stuff_classes), list(metadata.thing_classes)
    known = sorted(set(metadata.thing_dataset_id_to_contiguous_id.values())) or range(len(things))
    lacking = [things[i] for i in known if things[i] not in names]
    if lacking:
        raise ValueError(
            f"data set {metadata.name!r}: panoptic labels without segments_info need a class of pixels for "
            f"each class of things, and stuff_classes has no {lacking[0]!r}; "
            "CocoPanopticDataset(separated=False) has them all"
        )
    number = {names.index(things[i]): i for i in known}
    segments = []
    for label in np.unique(labels[labels >= 0]).tolist():
        category = label // metadata.label_divisor
        if category >= len(names):
            raise ValueError(
                f"panoptic label {label} is of class {category}; data set {metadata.name!r} has {len(names)} "
                f"(label_divisor {metadata.label_divisor})"
            )
        isthing = category in number
        segments.append(
            {"id": label, "isthing": isthing, "category_id": number[category] if isthing else category}
        )
    return segments


def _array(values: Any) -> np.ndarray:
    return values.cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _lacks(record: Mapping[str, Any], *names: str) -> str:
    wanted = " or ".join(repr(name) for name in names)
    return f"the record of image {record.get('image_id')!r} has no {wanted}; it has {', '.join(record)}"
