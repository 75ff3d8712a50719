"""Cityscapes (Cordts et al., arXiv:1604.01685): semantic, instance and panoptic segmentation.

The folders are those of its archives: ``leftImg8bit/<split>/<city>/*_leftImg8bit.png`` and
``gtFine/<split>/<city>/*_gtFine_{labelIds,instanceIds}.png``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lazycfg.structures import BoxMode
from lazycfg.structures.rle import encode_crop
from lazycfg.utils import printable
from lazycfg.utils.cityscapes import (
    IMAGE_ENDING,
    INSTANCE_LABELS,
    LABELS,
    TRAIN_LABELS,
    CityscapesLabel,
    ground_truth_file,
)

from ..image import read_image_size
from .base import Record, SerializedList, describe
from .coco_panoptic import CocoPanopticDataset
from .coco_validation import AnnotationError, Problem, ProblemLog, SkipsProblems
from .label_maps import IGNORE, read_labels
from .metadata import Metadata
from .summary import DatasetSummary

__all__ = ["CityscapesInstances", "CityscapesPanoptic", "CityscapesSemSeg"]

logger = logging.getLogger(__name__)

OnError = Literal["raise", "skip"]

_TRAIN_ID = np.full(256, IGNORE, dtype=np.uint8)
_TRAIN_ID[[label.id for label in TRAIN_LABELS]] = [label.train_id for label in TRAIN_LABELS]


class _CityscapesFiles(SkipsProblems):
    """Images and a map of ground truth for each.

    Args:
        image_dir: such as ``cityscapes/leftImg8bit/train``.
        gt_dir: such as ``cityscapes/gtFine/train``; None: images without ground truth.
        kinds: of ground truth; the first that there is of an image is taken.
        on_error: "raise" at the first file that cannot be right, or "skip" it and count it in `problems`.
        verify: read all maps.
    """

    validated = True
    metadata: Metadata

    def __init__(
        self,
        image_dir: str | os.PathLike[str],
        gt_dir: str | os.PathLike[str] | None,
        kinds: Sequence[str],
        on_error: OnError,
        verify: bool,
    ) -> None:
        self.image_dir, self.gt_dir = Path(image_dir), None if gt_dir is None else Path(gt_dir)
        self._kinds = kinds
        self._log = ProblemLog(str(image_dir), on_error, type(self).__name__)
        if self.gt_dir is not None and not self.gt_dir.is_dir():
            raise FileNotFoundError(f"no folder {str(gt_dir)!r} of Cityscapes' ground truth (gt_dir)")
        accept = self._log.accept
        records = [
            r for r in self._files() if accept("image", printable(r["file_name"]), self._file_problem(r))
        ]
        if verify:
            records = [r for r in records if accept("image", r["image_id"], self._map_problem(r))]
        if not records:
            raise FileNotFoundError(
                f"no image in {str(image_dir)!r} can be used"
                + (f": {self._log.report()}" if self.problems else f" (*{IMAGE_ENDING} in folders of cities)")
            )
        self._records = SerializedList(records)

    @cached_property
    def image_sizes(self) -> np.ndarray:
        """Return (N, 2) height and width in pixels, read from the heads of the files."""
        sizes = [read_image_size(record["file_name"]) for record in self._records]
        return np.array(sizes, dtype=np.int32).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.image_dir)!r}, {len(self)} images)"

    def _files(self) -> Iterator[Record]:
        for path in list_images(self.image_dir):
            record: Record = {"file_name": str(path), "image_id": path.name.removesuffix(IMAGE_ENDING)}
            if self.gt_dir is not None and path.name.endswith(IMAGE_ENDING):
                maps = [str(ground_truth_file(self.gt_dir, path, kind)) for kind in self._kinds]
                record["_map"] = next((name for name in maps if os.path.isfile(name)), maps[-1])
            yield record

    def _file_problem(self, record: Record) -> Problem | None:
        if not record["file_name"].endswith(IMAGE_ENDING):
            return Problem("wrong name", f"the name of an image ends in {IMAGE_ENDING}")
        if "_map" in record and not os.path.isfile(record["_map"]):
            return Problem("no ground truth", f"its ground truth is missing: {record['_map']}")
        return None

    def _map_problem(self, record: Record) -> Problem | None:
        try:
            self._read_map(record)
        except (AnnotationError, ValueError, FileNotFoundError) as error:
            return Problem("wrong map", str(error))
        return None

    def _read_map(self, record: Record) -> np.ndarray:
        """Return the ground truth of an image.

        Raises:
            FileNotFoundError, ImageError: the map or the image is missing or damaged.
            AnnotationError: the map has another size than its image, or ids that Cityscapes does not have.
        """
        values = read_labels(record["_map"]).astype(np.int32)  # of 8 or 16 bits
        size = read_image_size(record["file_name"])
        if values.shape != size:
            raise AnnotationError(
                f"{describe(record)}: {record['_map']} is {values.shape[1]}x{values.shape[0]} (width x "
                f"height), its image {size[1]}x{size[0]}"
            )
        self._check_values(record, values)
        return values

    def _check_values(self, record: Record, values: np.ndarray) -> None:
        """Raise `AnnotationError` if a map has ids that Cityscapes does not have."""
        raise NotImplementedError


class CityscapesSemSeg(_CityscapesFiles):
    """Images of Cityscapes with one of 19 classes for every pixel.

    A record has "sem_seg_file_name", the ``labelTrainIds`` file that Cityscapes' scripts make. Where there is
    none it has "sem_seg" (H, W) uint8, the same map made of the ``labelIds`` file: 255 for pixels that do not
    count.

    Args:
        image_dir: such as ``cityscapes/leftImg8bit/train``.
        gt_dir: such as ``cityscapes/gtFine/train``; None: images without ground truth.
        name: for logs and reports.
        on_error: "raise" at the first image that has a wrong name or no ground truth, or "skip" those and
            count them in `problems`.
        verify: read every map, and compare its size and its ids with what they must be. Else a wrong one is
            found when it is used.

    Attributes:
        metadata: `Metadata` with 19 `stuff_classes`; ``extra["gt_dir"]``.
        problems: counts of what was skipped, by kind.

    Raises:
        FileNotFoundError: a folder or all files are missing.
        AnnotationError: an image without ground truth, a map that is wrong.
    """

    def __init__(
        self,
        *,
        image_dir: str | os.PathLike[str],
        gt_dir: str | os.PathLike[str] | None,
        name: str = "cityscapes_sem_seg",
        on_error: OnError = "raise",
        verify: bool = False,
    ) -> None:
        super().__init__(image_dir, gt_dir, ("labelTrainIds", "labelIds"), on_error, verify)
        self.metadata = Metadata(
            name=name,
            stuff_classes=tuple(label.name for label in TRAIN_LABELS),
            stuff_colors=tuple(label.color for label in TRAIN_LABELS),
            stuff_dataset_id_to_contiguous_id={label.id: label.train_id for label in TRAIN_LABELS},
            ignore_label=IGNORE,
            image_root=str(image_dir),
            extra=_extra(gt_dir),
        )
        _report(self)

    @property
    def num_classes(self) -> int:
        """Return the number of classes of pixels."""
        return len(self.metadata.stuff_classes)

    @property
    def summary(self) -> DatasetSummary:
        """There are no instances to count."""
        return DatasetSummary(num_images=len(self))

    def get_annotations(self, index: int) -> Record:
        """Return the record without its map of labels."""
        record = self._records[index]
        record.pop("_map", None)
        return record

    def __getitem__(self, index: int) -> Record:
        """Return the record, a fresh object at every call.

        Raises:
            FileNotFoundError, ImageError, AnnotationError: the map is missing, damaged or wrong.
        """
        record = self._records[index]
        if "_map" in record and _are_train_ids(record):
            record["sem_seg_file_name"] = record.pop("_map")
        elif "_map" in record:
            record["sem_seg"] = _TRAIN_ID[self._read_map(record)]
            del record["_map"]
        return record

    def _check_values(self, record: Record, values: np.ndarray) -> None:
        known = [*range(len(TRAIN_LABELS)), IGNORE] if _are_train_ids(record) else range(len(LABELS))
        unknown = sorted(set(np.unique(values).tolist()) - set(known))
        if unknown:
            raise AnnotationError(
                f"{describe(record)}: {record['_map']} has the ids {unknown[:5]}, none of Cityscapes'"
            )


class CityscapesInstances(_CityscapesFiles):
    """Images of Cityscapes with boxes and masks of its 8 classes of things.

    They are made of the ``instanceIds`` files as they are read, so that what is hidden belongs to no mask.
    Regions of several objects that were not told apart are crowds.

    Args:
        image_dir: such as ``cityscapes/leftImg8bit/train``.
        gt_dir: such as ``cityscapes/gtFine/train``; None: images without ground truth.
        name: for logs and reports.
        on_error: "raise" at the first image that has a wrong name or no ground truth, or "skip" those and
            count them in `problems`.
        verify: read every map, and compare its size and its ids with what they must be. Else a wrong one is
            found when it is used.

    Attributes:
        metadata: `Metadata` with 8 `thing_classes`; ``extra["gt_dir"]``.
        problems: counts of what was skipped, by kind.

    Raises:
        FileNotFoundError: a folder or all files are missing.
        AnnotationError: an image without ground truth, a map that is wrong.
    """

    def __init__(
        self,
        *,
        image_dir: str | os.PathLike[str],
        gt_dir: str | os.PathLike[str] | None,
        name: str = "cityscapes_instance_seg",
        on_error: OnError = "raise",
        verify: bool = False,
    ) -> None:
        super().__init__(image_dir, gt_dir, ("instanceIds",), on_error, verify)
        self.metadata = Metadata(
            name=name,
            thing_classes=tuple(label.name for label in INSTANCE_LABELS),
            thing_colors=tuple(label.color for label in INSTANCE_LABELS),
            thing_dataset_id_to_contiguous_id={label.id: i for i, label in enumerate(INSTANCE_LABELS)},
            image_root=str(image_dir),
            extra=_extra(gt_dir),
        )
        _report(self)

    @property
    def num_classes(self) -> int:
        """Return the number of thing classes."""
        return len(self.metadata.thing_classes)

    @cached_property
    def summary(self) -> DatasetSummary:
        """Return the counts of the instances. All maps are read for it at the first time."""
        result = DatasetSummary()
        for i in range(len(self)):
            result.add(self[i], i)
        return result

    def __getitem__(self, index: int) -> Record:
        """Return the record, a fresh object at every call.

        Raises:
            FileNotFoundError, ImageError, AnnotationError: the map is missing, damaged or wrong.
        """
        record = self._records[index]
        if "_map" in record:
            ids = self._read_map(record)
            del record["_map"]
            record["height"], record["width"] = ids.shape
            record["annotations"] = _annotations(ids, self.metadata.thing_dataset_id_to_contiguous_id)
        return record

    def _check_values(self, record: Record, values: np.ndarray) -> None:
        with_instances = [label.id for label in LABELS if label.has_instances]
        labels = np.unique(values)
        low = labels[labels < 1000]
        high = labels[labels >= 1000]
        wrong = [*low[low >= len(LABELS)].tolist(), *high[~np.isin(high // 1000, with_instances)].tolist()]
        if wrong:
            raise AnnotationError(
                f"{describe(record)}: {record['_map']} has the ids {wrong[:5]}; an instance has the id of "
                "its label times 1000 plus a number"
            )


class CityscapesPanoptic(CocoPanopticDataset):
    """Images of Cityscapes with panoptic segments: 11 stuff classes and 8 thing classes.

    It needs the JSON file and the folder of PNG files that Cityscapes' script ``createPanopticImgs`` makes.
    Both `thing_classes` and `stuff_classes` of its metadata are all 19 classes; things are 11 to 18.

    Args:
        panoptic_json: such as ``cityscapes/gtFine/cityscapes_panoptic_train.json``.
        panoptic_root: folder of the PNG files.
        image_dir: such as ``cityscapes/leftImg8bit/train``.
        gt_dir: such as ``cityscapes/gtFine/train``, for Cityscapes' own evaluators.
        sem_seg: give "sem_seg", the map of labels, with each record.
        name: for logs and reports; the stem of `panoptic_json` when None.
        on_error: "raise" at the first record that cannot be right, or "skip" those and count them in
            `problems`.

    Attributes:
        metadata: `Metadata`; ``extra["gt_dir"]``.
        problems: counts of what was skipped, by kind.

    Raises:
        FileNotFoundError: a file or folder is missing.
        AnnotationError: a record that cannot be right; categories that are not those of Cityscapes.
    """

    validated = True

    def __init__(
        self,
        *,
        panoptic_json: str | os.PathLike[str],
        panoptic_root: str | os.PathLike[str],
        image_dir: str | os.PathLike[str],
        gt_dir: str | os.PathLike[str] | None = None,
        sem_seg: bool = True,
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None:
        self.gt_dir = gt_dir
        super().__init__(
            panoptic_json=panoptic_json,
            panoptic_root=panoptic_root,
            image_root=image_dir,
            sem_seg=sem_seg,
            separated=False,
            name=name,
            on_error=on_error,
        )

    @property
    def num_classes(self) -> int:
        """Return the number of thing and stuff classes."""
        return len(self.metadata.stuff_classes)

    def _read(self) -> dict[str, Any]:
        """Return the contents of the file, with the paths of the images, which it does not tell."""
        data = super()._read()
        paths = {p.name.removesuffix(IMAGE_ENDING): p for p in list_images(self.image_root)}
        for image in data["images"]:
            if isinstance(image, dict) and isinstance(image.get("id"), str):
                path = paths.get(image["id"])
                name = f"{image['id'].split('_')[0]}/{image['id']}{IMAGE_ENDING}"
                image["file_name"] = name if path is None else str(path.relative_to(self.image_root))
        return data

    def _make_metadata(
        self, categories: Sequence[Mapping[str, Any]], separated: bool, **fields: Any
    ) -> Metadata:
        known = {label.id: label for label in TRAIN_LABELS}
        for category in categories:
            label = known.get(category.get("id")) if isinstance(category, Mapping) else None
            if label is None or bool(category.get("isthing", label.has_instances)) != label.has_instances:
                raise AnnotationError(f"category {category!r} is none of the 19 of Cityscapes")
        names, colors = (tuple(getattr(label, key) for label in TRAIN_LABELS) for key in ("name", "color"))
        return Metadata(
            thing_classes=names,
            thing_colors=colors,
            thing_dataset_id_to_contiguous_id=_train_ids(INSTANCE_LABELS),
            stuff_classes=names,
            stuff_colors=colors,
            stuff_dataset_id_to_contiguous_id=_train_ids(TRAIN_LABELS),
            ignore_label=IGNORE,
            extra=_extra(self.gt_dir),
            **fields,
        )


def list_images(image_dir: Path) -> list[Path]:
    """Return the files in the folders of cities.

    Raises:
        FileNotFoundError: no such folder.
    """
    if not image_dir.is_dir():
        raise FileNotFoundError(f"no folder {str(image_dir)!r} of Cityscapes' images")
    return sorted(path for path in image_dir.glob("*/*") if path.is_file() and not path.name.startswith("."))


def _annotations(ids: np.ndarray, classes: Mapping[int, int]) -> list[dict[str, Any]]:
    """Return boxes and masks of a map of instances."""
    annotations = []
    for number in np.unique(ids).tolist():
        label = number // 1000 if number >= 1000 else number
        if label not in classes:
            continue
        mask = ids == number
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        y0, x0, y1, x1 = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
        crop = mask[y0:y1, x0:x1]
        annotations.append(
            {
                "bbox": [float(v) for v in (x0, y0, x1, y1)],
                "bbox_mode": BoxMode.XYXY_ABS,
                "category_id": classes[label],
                "iscrowd": int(number < 1000),
                "segmentation": encode_crop(crop, int(y0), int(x0), ids.shape),
                "area": float(crop.sum()),
            }
        )
    return annotations


def _are_train_ids(record: Record) -> bool:
    return record["_map"].endswith("labelTrainIds.png")


def _train_ids(labels: Sequence[CityscapesLabel]) -> dict[int, int]:
    return {label.id: label.train_id for label in labels}


def _extra(gt_dir: str | os.PathLike[str] | None) -> dict[str, str]:
    return {} if gt_dir is None else {"gt_dir": str(gt_dir)}


def _report(dataset: _CityscapesFiles) -> None:
    logger.info("%s: %d images", dataset.metadata.name, len(dataset))
    if dataset.problems:
        logger.warning("%s: skipped %s", dataset.image_dir, dataset._log.report())
