"""Predicted segments in COCO's format for panoptic results: PNG files of ids, and what each id is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lazycfg.utils import atomic_write
from lazycfg.utils.segment_ids import id2rgb

__all__ = ["write_segments"]


def write_segments(
    path: Path, segments: np.ndarray, info: Sequence[Mapping[str, Any]], metadata: Any
) -> list[dict[str, Any]]:
    """Write the segment ids of one image as a PNG file.

    Args:
        path: of the file.
        segments: (H, W) ids; those that are not listed, and those below 1, are pixels without a segment.
        info: dicts with "id", "isthing" and the contiguous "category_id".
        metadata: of the data, which has the ids of categories in files.

    Returns:
        the "segments_info" of the file: dicts with "id" and "category_id".

    Raises:
        ValueError: an id does not fit into the file.
    """
    listed = {int(segment["id"]): segment for segment in info}
    if max(listed, default=0) + 1 >= 1 << 24:
        raise ValueError(f"segment id {max(listed)} does not fit into a PNG file ({path.name})")
    ids = np.where(np.isin(segments, list(listed)), segments, -1)
    # Labels may have a segment 0, which means nothing in the file.
    shift = 1 if 0 in listed else 0
    with atomic_write(path) as partial:
        Image.fromarray(id2rgb((ids + shift).clip(0))).save(partial, format="PNG")
    return [
        {"id": number + shift, "category_id": _file_category(segment, metadata)}
        for number, segment in listed.items()
        if number + shift > 0 and (segments == number).any()
    ]


def _file_category(segment: Mapping[str, Any], metadata: Any) -> int:
    kind = "thing" if segment["isthing"] else "stuff"
    to_contiguous = getattr(metadata, f"{kind}_dataset_id_to_contiguous_id", None) or {}
    ids = {contiguous: original for original, contiguous in to_contiguous.items()}
    return int(ids.get(segment["category_id"], segment["category_id"]))
