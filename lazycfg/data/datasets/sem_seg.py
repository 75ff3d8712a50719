"""Semantic segmentation from two folders: images, and maps with the label of each of their pixels."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from ..image import ImageError, read_image_size
from .base import Record, SerializedList
from .coco_validation import AnnotationError, Problem, ProblemLog, SkipsProblems
from .label_maps import IGNORE, find_pairs, read_labels
from .metadata import Metadata
from .summary import DatasetSummary

logger = logging.getLogger(__name__)


def load_sem_seg(
    gt_root: str | os.PathLike[str],
    image_root: str | os.PathLike[str],
    gt_ext: str | None = "png",
    image_ext: str | None = "jpg",
    *,
    on_error: Literal["raise", "skip"] = "raise",
) -> list[Record]:
    """Return records with "file_name", "sem_seg_file_name" and "image_id".

    The last is the path below `image_root` without its ending.

    Args:
        gt_root: folder of the label maps.
        image_root: folder of the images; each lies where its map does, but for the ending.
        gt_ext, image_ext: the endings.
        on_error: "raise" if an image or a map is without the other, or "skip" those.

    Raises:
        FileNotFoundError: a folder or all files are missing.
        AnnotationError: files without partner.
    """
    records, lonely = _records(gt_root, image_root, gt_ext, image_ext, on_error)
    if lonely:
        logger.warning("skipped %d files without partner; first: %s", len(lonely), lonely[0])
    return records


def _records(
    gt_root: str | os.PathLike[str],
    image_root: str | os.PathLike[str],
    gt_ext: str | None,
    image_ext: str | None,
    on_error: str,
) -> tuple[list[Record], list[str]]:
    """Return what `load_sem_seg` does, and the files without partner, in words."""
    pairs, lonely = find_pairs(image_root, gt_root, image_ext, gt_ext)
    if lonely and (on_error == "raise" or not pairs):
        raise AnnotationError(
            f"{len(lonely)} files of {str(image_root)!r} and {str(gt_root)!r} are without partner: "
            f'{"; ".join(lonely[:3])}. on_error="skip" leaves such files out',
            {"on_error": "skip"} if pairs else None,
        )
    root = Path(image_root)
    records = [
        {
            "file_name": str(image),
            "sem_seg_file_name": str(labels),
            "image_id": image.relative_to(root).with_suffix("").as_posix(),
        }
        for image, labels in pairs
    ]
    return records, lonely


class SemSegDataset(SkipsProblems):
    """Images and label maps (`load_sem_seg`); a label is the index of a class.

    Args:
        image_root, sem_seg_root: folders of images and of label maps.
        stuff_classes: names of the classes, in the order of the labels.
        stuff_colors: RGB 0..255 of each class; empty: chosen when drawing.
        image_ext, sem_seg_ext: endings of the files, such as "jpg" or "_mask.png"; None: any of an image.
        ignore_label: label of pixels that do not count.
        label_map: the values in the files -> index of a class, or `ignore_label`; for maps of 0 and 255
            ``{0: 0, 255: 1}``. Records then have "sem_seg", the map of labels, in the place of its file.
        name: for logs and reports; the name of `image_root` when None.
        on_error: "raise" if an image or a map is without the other, or "skip" those and count them in
            `problems`.
        verify: read every map, and compare its size and its labels with the image and the classes. Else a
            wrong one is found when it is used.

    Attributes:
        metadata: `Metadata` with the classes.
        problems, faults: what was skipped; see `AnnotatedImages`.

    Raises:
        FileNotFoundError: a folder or all files are missing.
        AnnotationError: files without partner; a map that is wrong.
    """

    validated = True

    def __init__(
        self,
        *,
        image_root: str | os.PathLike[str],
        sem_seg_root: str | os.PathLike[str],
        stuff_classes: Sequence[str],
        stuff_colors: Sequence[tuple[int, int, int]] = (),
        image_ext: str | None = "jpg",
        sem_seg_ext: str | None = "png",
        ignore_label: int = IGNORE,
        label_map: Mapping[int, int] | None = None,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        verify: bool = False,
    ) -> None:
        self._log = ProblemLog(str(image_root), on_error, type(self).__name__)
        records, lonely = _records(sem_seg_root, image_root, sem_seg_ext, image_ext, on_error)
        for words in lonely:
            self._log.accept("file", str(image_root), Problem("without partner", words))
        self.metadata = Metadata(
            name=Path(image_root).name if name is None else name,
            stuff_classes=tuple(stuff_classes),
            stuff_colors=tuple(stuff_colors),
            stuff_dataset_id_to_contiguous_id={i: i for i in range(len(stuff_classes))},
            ignore_label=ignore_label,
            image_root=str(image_root),
        )
        self._label_map = None if label_map is None else self._checked(label_map)
        self._records = SerializedList(records)
        if verify:
            self._records = SerializedList(self._verified())
        logger.info("%s: %d images, %d classes", self.metadata.name, len(self), self.num_classes)
        if self.problems:
            logger.warning("%s: skipped %s", image_root, self._log.report())

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
        """Return the record, a fresh object at every call.

        Raises:
            FileNotFoundError, ImageError, AnnotationError: with `label_map`: the map is missing or damaged,
                or has other values.
        """
        record = self._records[index]
        if self._label_map is not None:
            path = record.pop("sem_seg_file_name")
            labels, known = self._mapped(read_labels(path))
            if not known.all():
                values = np.unique(read_labels(path)[~known]).tolist()
                raise AnnotationError(f"{path} has the values {values[:5]}, which label_map does not have")
            record["sem_seg"] = labels
        return record

    def get_annotations(self, index: int) -> Record:
        """Return the record without pixels."""
        record = self._records[index]
        if self._label_map is not None:
            del record["sem_seg_file_name"]
        return record

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.metadata.image_root!r}, {len(self)} images, "
            f"{self.num_classes} classes)"
        )

    def _checked(self, label_map: Mapping[int, int]) -> dict[int, int]:
        wrong = [
            v for v in label_map.values() if v not in {*range(self.num_classes), self.metadata.ignore_label}
        ]
        if wrong:
            raise ValueError(
                f"{type(self).__name__}: label_map leads to {wrong[0]!r}: labels are 0 to "
                f"{self.num_classes - 1}, and {self.metadata.ignore_label} to ignore"
            )
        return {int(value): int(label) for value, label in label_map.items()}

    def _mapped(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels of values (H, W), and which of these are known."""
        label_map = self._label_map or {}
        known = np.isin(values, list(label_map))
        table = np.zeros(max(label_map, default=0) + 1, dtype=np.int32)
        table[list(label_map)] = list(label_map.values())
        labels = np.where(known, table[np.where(known, values, next(iter(label_map), 0))], 0)
        return labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.int32), known

    def _verified(self) -> list[Record]:
        """Return the records whose maps are right."""
        problems: list[str] = []
        result = []
        for record in self._records:
            path = record["sem_seg_file_name"]
            problem = self._map_problem(record)
            if problem is not None and self.on_error == "raise":
                problems.append(f"{path} {problem.text}")
            elif self._log.accept("label map", path, problem):
                result.append(record)
        if problems:
            raise AnnotationError(
                f"{len(problems)} label maps are wrong:\n  " + "\n  ".join(problems[:5]),
                {"on_error": "skip"} if len(problems) < len(self._records) else None,
            )
        return result

    def _map_problem(self, record: Record) -> Problem | None:
        try:
            size = read_image_size(record["file_name"])
            labels = read_labels(record["sem_seg_file_name"])
        except (ImageError, OSError) as error:
            return Problem("unreadable", f"cannot be used: {error}")
        if labels.shape != size:
            return Problem(
                "another size",
                f"is {labels.shape[1]}x{labels.shape[0]} (width x height), its image {size[1]}x{size[0]}",
            )
        known = {*range(self.num_classes), self.metadata.ignore_label}
        known = known if self._label_map is None else set(self._label_map)
        unknown = sorted(set(np.unique(labels).tolist()) - known)
        if unknown:
            said = f"there are {self.num_classes} classes"
            if self._label_map is not None:
                said = f"label_map has {sorted(known)[:8]}"
            return Problem("unknown labels", f"has the labels {unknown[:5]}; {said}")
        return None
