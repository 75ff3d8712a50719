"""Semantic segmentation from two folders: images, and maps with the label of each of their pixels."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from ..image import read_image_size
from .base import Record, SerializedList
from .coco_validation import AnnotationError
from .label_maps import IGNORE, find_pairs, read_labels
from .metadata import Metadata
from .summary import DatasetSummary

logger = logging.getLogger(__name__)


def load_sem_seg(
    gt_root: str | os.PathLike[str],
    image_root: str | os.PathLike[str],
    gt_ext: str = "png",
    image_ext: str = "jpg",
    *,
    on_error: Literal["raise", "skip"] = "raise",
) -> list[Record]:
    """Records with "file_name", "sem_seg_file_name" and "image_id" (the path below `image_root`, no ending).

    Args:
        gt_root: folder of the label maps.
        image_root: folder of the images; each lies where its map does, but for the ending.
        gt_ext, image_ext: the endings.
        on_error: "raise" if an image or a map is without the other, or "skip" those.

    Raises:
        FileNotFoundError: a folder or all files are missing.
        AnnotationError: files without partner.
    """
    pairs, lonely = find_pairs(image_root, gt_root, image_ext, gt_ext)
    if lonely and (on_error == "raise" or not pairs):
        raise AnnotationError(
            f"{len(lonely)} files of {str(image_root)!r} and {str(gt_root)!r} are without partner: "
            f'{"; ".join(lonely[:3])}. on_error="skip" leaves such files out'
        )
    if lonely:
        logger.warning("skipped %d files without partner; first: %s", len(lonely), lonely[0])
    root = Path(image_root)
    return [
        {
            "file_name": str(image),
            "sem_seg_file_name": str(labels),
            "image_id": image.relative_to(root).with_suffix("").as_posix(),
        }
        for image, labels in pairs
    ]


class SemSegDataset:
    """Pictures and label maps (`load_sem_seg`); a label is the index of a class.

    Args:
        image_root, sem_seg_root: folders of images and of label maps.
        stuff_classes: names of the classes, in the order of the labels.
        stuff_colors: RGB 0..255 of each class; empty: chosen when drawing.
        image_ext, sem_seg_ext: endings of the files.
        ignore_label: label of pixels that do not count.
        name: for logs and reports; the name of `image_root` when None.
        on_error: see `load_sem_seg`.
        verify: read every map, and compare its size and its labels with the image and the classes. Else a
            wrong one is found when it is used.

    Attributes:
        metadata: `Metadata` with the classes.

    Raises:
        FileNotFoundError, AnnotationError: as `load_sem_seg`; a map that is wrong.
    """

    validated = True

    def __init__(
        self,
        *,
        image_root: str | os.PathLike[str],
        sem_seg_root: str | os.PathLike[str],
        stuff_classes: Sequence[str],
        stuff_colors: Sequence[tuple[int, int, int]] = (),
        image_ext: str = "jpg",
        sem_seg_ext: str = "png",
        ignore_label: int = IGNORE,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        verify: bool = False,
    ) -> None:
        records = load_sem_seg(sem_seg_root, image_root, sem_seg_ext, image_ext, on_error=on_error)
        self.metadata = Metadata(
            name=Path(image_root).name if name is None else name,
            stuff_classes=tuple(stuff_classes),
            stuff_colors=tuple(stuff_colors),
            stuff_dataset_id_to_contiguous_id={i: i for i in range(len(stuff_classes))},
            ignore_label=ignore_label,
            image_root=str(image_root),
        )
        self._records = SerializedList(records)
        if verify:
            self._verify()
        logger.info("%s: %d images, %d classes", self.metadata.name, len(self), self.num_classes)

    @property
    def num_classes(self) -> int:
        """Return the number of classes of pixels."""
        return len(self.metadata.stuff_classes)

    @cached_property
    def image_sizes(self) -> np.ndarray:
        """Return (N, 2) height and width in pixels, read from the heads of the files."""
        sizes = [read_image_size(record["file_name"]) for record in self._records]
        return np.array(sizes, dtype=np.int32).reshape(-1, 2)

    @property
    def summary(self) -> DatasetSummary:
        """There are no instances to count."""
        return DatasetSummary(num_images=len(self))

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        return self._records[index]

    def __repr__(self) -> str:
        return f"SemSegDataset({self.metadata.image_root!r}, {len(self)} images, {self.num_classes} classes)"

    def _verify(self) -> None:
        problems: list[str] = []
        for record, size in zip(self._records, self.image_sizes.tolist(), strict=True):
            path = record["sem_seg_file_name"]
            labels = read_labels(path)
            if labels.shape != tuple(size):
                problems.append(
                    f"{path} is {labels.shape[1]}x{labels.shape[0]} (width x height), its image "
                    f"{size[1]}x{size[0]}"
                )
            known = {*range(self.num_classes), self.metadata.ignore_label}
            unknown = sorted(set(np.unique(labels).tolist()) - known)
            if unknown:
                problems.append(f"{path} has the labels {unknown[:5]}; there are {self.num_classes} classes")
        if problems:
            raise AnnotationError(f"{len(problems)} label maps are wrong:\n  " + "\n  ".join(problems[:5]))
