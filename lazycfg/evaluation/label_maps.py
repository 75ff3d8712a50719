"""The true label maps of a dataset's records, found by image id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from lazycfg.utils.segment_ids import rgb2id

__all__ = ["RecordIndex", "read_panoptic", "read_sem_seg"]


class RecordIndex:
    """Records of a dataset by their image id; the ids are collected at the first use."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self._positions: dict[Any, int] | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, image_id: Any) -> Mapping[str, Any]:
        if self._positions is None:
            light: Callable[[int], Mapping[str, Any]]
            light = getattr(self.dataset, "get_annotations", None) or self.dataset.__getitem__
            self._positions = {light(i).get("image_id", i): i for i in range(len(self.dataset))}
        if image_id not in self._positions:
            raise KeyError(f"image_id {image_id!r} is not one of the dataset's {len(self._positions)}")
        return self.dataset[self._positions[image_id]]


def read_sem_seg(record: Mapping[str, Any]) -> np.ndarray:
    """(H, W) int64 labels of a record: its "sem_seg", or the picture "sem_seg_file_name"."""
    if "sem_seg" in record:
        return _array(record["sem_seg"]).astype(np.int64)
    if "sem_seg_file_name" in record:
        from PIL import Image

        with Image.open(record["sem_seg_file_name"]) as file:
            return np.asarray(file).astype(np.int64)
    raise ValueError(_lacks(record, "sem_seg", "sem_seg_file_name"))


def read_panoptic(record: Mapping[str, Any]) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """(H, W) int64 segment ids of a record and its "segments_info".

    The ids are the record's "pan_seg", or in the colours of the picture "pan_seg_file_name" (red + 256 green
    + 65536 blue).
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


def _array(values: Any) -> np.ndarray:
    return values.cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _lacks(record: Mapping[str, Any], *names: str) -> str:
    wanted = " or ".join(repr(name) for name in names)
    return f"the record of image {record.get('image_id')!r} has no {wanted}; it has {', '.join(record)}"
