"""Panoptic segmentation in COCO's format: segments in a JSON file, their pixels as colours in PNG files."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lazycfg.utils import printable

from .base import Record, SerializedList, get_annotations
from .coco_files import missing_files, read_coco_json
from .coco_validation import (
    AnnotationError,
    MissingImagesError,
    Problem,
    ProblemLog,
    SkipsProblems,
    image_problem,
    is_id,
    is_whole,
)
from .label_maps import labels_of_segments, read_segment_ids
from .metadata import Metadata
from .panoptic_classes import panoptic_metadata, segments_with_labels
from .summary import DatasetSummary

logger = logging.getLogger(__name__)


class CocoPanopticDataset(SkipsProblems):
    """Images with COCO panoptic annotations: every pixel belongs to a segment of a thing or of stuff.

    A record has "pan_seg_file_name", "segments_info" (dicts with "id", "category_id", "label" in the maps of
    labels, "isthing", "iscrowd", "bbox", "area") and, for semantic segmentation, "sem_seg_file_name" or
    "sem_seg", a map (H, W) of labels; with `instances`, "annotations" besides.

    The classes of things are numbered from 0, as in the file of instances. For stuff there are two customs:
    label 0 of the maps stands for all things and stuff is 1, 2... (`separated`, which Panoptic FPN takes), or
    the maps tell all classes apart, in the order of the ids in the file. The "category_id" of a thing is its
    number among things, that of stuff its label.

    Args:
        panoptic_json: file with "categories" (each with "isthing"), "images" and "annotations".
        panoptic_root: folder of the PNG files.
        image_root: folder of the images.
        instances: a dataset of the same images, found by "image_id", whose "annotations" are given.
        sem_seg_root: folder of label maps with the names of the PNG files; None: made of those as needed.
        sem_seg: give "sem_seg", the map of labels, with each record. False saves reading the PNG file for
            models that do not need it.
        separated: see above.
        name: for logs and reports; the stem of `panoptic_json` when None.
        on_error: "raise" at the first record that cannot be right, or "skip" those and count them in
            `problems`.

    Attributes:
        metadata: `Metadata` with things and stuff; `stuff_classes` has a name for each label of the maps.
        problems: counts of what was skipped, by kind.
        image_sizes: (N, 2) height and width, pixels.

    Raises:
        FileNotFoundError: a file or folder is missing.
        AnnotationError: a record that cannot be right; things that are not the classes of `instances`.
    """

    validated = True

    def __init__(
        self,
        *,
        panoptic_json: str | os.PathLike[str],
        panoptic_root: str | os.PathLike[str],
        image_root: str | os.PathLike[str],
        instances: Any = None,
        sem_seg_root: str | os.PathLike[str] | None = None,
        sem_seg: bool = True,
        separated: bool = True,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
    ) -> None:
        self.panoptic_json = str(panoptic_json)
        self.panoptic_root, self.image_root = Path(panoptic_root), Path(image_root)
        self.sem_seg_root = None if sem_seg_root is None else Path(sem_seg_root)
        self._log = ProblemLog(self.panoptic_json, on_error, type(self).__name__)
        self._gives_labels = sem_seg and sem_seg_root is None
        data = self._read()
        try:
            self.metadata = self._make_metadata(
                data["categories"],
                separated,
                name=name or Path(panoptic_json).stem,
                json_file=self.panoptic_json,
                image_root=str(image_root),
            )
        except AnnotationError as error:
            raise AnnotationError(f"{self.panoptic_json}: {error}") from None
        self._instances = instances
        self._check_things()
        records = list(self._make_records(data))
        self.image_sizes = np.array([(r["height"], r["width"]) for r in records], np.int32).reshape(-1, 2)
        self._records = SerializedList(records)
        self._report()

    @property
    def num_classes(self) -> int:
        """Return the number of thing classes."""
        return len(self.metadata.thing_classes)

    @property
    def summary(self) -> DatasetSummary:
        """Return the counts of the instances."""
        if self._instances is None:
            return DatasetSummary(num_images=len(self))
        result = DatasetSummary()
        for i in range(len(self)):
            result.add(self.get_annotations(i), i)
        return result

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        """Return the record, a new object at every call.

        Raises:
            FileNotFoundError, ImageError: the PNG file is missing or damaged.
            AnnotationError: it is of another size than its image.
        """
        record = self.get_annotations(index)
        if self._gives_labels:
            record["sem_seg"] = self._labels(record, self._records[index]["_label_of_id"])
        return record

    def get_annotations(self, index: int) -> Record:
        """Return the record without its label map."""
        record = self._records[index]
        del record["_label_of_id"]
        position = record.pop("_instances")
        if position is not None:
            record["annotations"] = get_annotations(self._instances, position)["annotations"]
        return record

    def __repr__(self) -> str:
        return f"CocoPanopticDataset({self.panoptic_json!r}, {len(self)} images)"

    def _read(self) -> dict[str, Any]:
        """Return the contents of the annotation file."""
        return read_coco_json(self.panoptic_json)

    def _make_metadata(
        self, categories: Sequence[Mapping[str, Any]], separated: bool, **fields: Any
    ) -> Metadata:
        """Return the classes; `fields` are others of `Metadata`."""
        return panoptic_metadata(categories, separated=separated, **fields)

    def _labels(self, record: Record, label_of_id: dict[int, int]) -> np.ndarray:
        ids = read_segment_ids(record["pan_seg_file_name"])
        if ids.shape != (record["height"], record["width"]):
            raise AnnotationError(
                f"{record['pan_seg_file_name']} is {ids.shape[1]}x{ids.shape[0]} (width x height), its "
                f"image {record['width']}x{record['height']}"
            )
        return labels_of_segments(ids, label_of_id, self.metadata.ignore_label)

    def _check_things(self) -> None:
        """Raise unless thing classes have the same numbers in both files."""
        if self._instances is None:
            return
        mine = self.metadata.thing_dataset_id_to_contiguous_id
        other = self._instances.metadata.thing_dataset_id_to_contiguous_id
        if dict(other) != mine:
            raise AnnotationError(
                f"{self.panoptic_json}: its things are not the classes of the instances "
                f"({self._instances.metadata.name!r}): category ids {sorted(set(mine) ^ set(other))[:8]} are "
                "in one of them only"
            )

    def _make_records(self, data: dict[str, Any]) -> Iterator[Record]:
        images = {
            im["id"]: im
            for index, im in enumerate(data["images"])
            if self._accept("image", im, index, image_problem(im))
        }
        entries = [
            a
            for index, a in enumerate(data["annotations"])
            if self._accept("annotation", a, index, _entry_problem(a))
        ]
        doubled = [i for i, n in Counter(a["image_id"] for a in entries).items() if n > 1]
        if doubled:
            raise AnnotationError(
                f"{self.panoptic_json}: image ids {doubled[:5]} are annotated more than once"
            )
        file_names = [a["file_name"] for a in entries]
        missing = {
            "image": self._missing("image", self.image_root, [im["file_name"] for im in images.values()]),
            "panoptic map": self._missing("panoptic map", self.panoptic_root, file_names),
            "label map": self._missing("label map", self.sem_seg_root, file_names),
        }
        count = 0 if self._instances is None else len(self._instances)
        positions = {get_annotations(self._instances, i)["image_id"]: i for i in range(count)}
        for index, annotation in enumerate(entries):
            image = images.get(annotation["image_id"])
            problem = self._problem(annotation, image, missing, positions)
            if not self._accept("annotation", annotation, index, problem) or image is None:
                continue
            segments, label_of_id = segments_with_labels(annotation["segments_info"], self.metadata)
            record: Record = {
                "file_name": str(self.image_root / image["file_name"]),
                "image_id": image["id"],
                "height": int(image["height"]),
                "width": int(image["width"]),
                "pan_seg_file_name": str(self.panoptic_root / annotation["file_name"]),
                "segments_info": segments,
                "_label_of_id": label_of_id,
                "_instances": positions.get(image["id"]),
            }
            if self.sem_seg_root is not None:
                record["sem_seg_file_name"] = str(self.sem_seg_root / annotation["file_name"])
            yield record

    def _missing(self, what: str, root: Path | None, names: list[str]) -> set[str]:
        """Return those of the names that are not files below `root`; raise unless they are to be skipped."""
        if root is None:
            return set()
        if not root.is_dir():
            raise FileNotFoundError(f"{self.panoptic_json}: no folder {str(root)!r} of {what}s")
        missing = missing_files(root, names)
        if missing and self.on_error == "raise":
            raise MissingImagesError(
                f"{self.panoptic_json}: {len(missing)} of {len(names)} {what}s are not in {str(root)!r}; "
                f"first: {sorted(missing)[:3]}",
                {"on_error": "skip"},
                f'. {type(self).__name__}(on_error="skip") leaves them out',
            )
        return missing

    def _problem(
        self,
        annotation: dict[str, Any],
        image: dict[str, Any] | None,
        missing: dict[str, set[str]],
        positions: dict[Any, int],
    ) -> Problem | None:
        """Return what is wrong with the segments of an image; None if nothing is."""
        if image is None:
            return Problem(
                "unknown image", f"image_id {annotation['image_id']!r} is not among the file's images"
            )
        for what, names in missing.items():
            if (image if what == "image" else annotation)["file_name"] in names:
                return Problem(f"the {what} is missing", f"the {what} is missing")
        if self._instances is not None and image["id"] not in positions:
            return Problem(
                "image without instances", f"image_id {image['id']!r} is not in the dataset of instances"
            )
        metadata = self.metadata
        known = {*metadata.thing_dataset_id_to_contiguous_id, *metadata.stuff_dataset_id_to_contiguous_id}
        segments = annotation["segments_info"]
        for segment in segments:
            if segment["category_id"] not in known:
                return Problem(
                    "unknown category",
                    f"category_id {segment['category_id']!r} is not among the file's categories",
                )
        if len({segment["id"] for segment in segments}) < len(segments):
            return Problem("segments of the same id", "two segments have the same id")
        return None

    def _accept(self, sort: str, entry: Any, index: int, problem: Problem | None) -> bool:
        """Return whether an entry of the file is to be used. Raises or counts where it is not."""
        where = f"{sort}s[{index}]"
        if isinstance(entry, dict):
            number = entry.get("id", entry.get("image_id"))
            where = f"{sort} {printable(number)} ({printable(entry.get('file_name'))})"
        return self._log.accept(sort, where, problem)

    def _report(self) -> None:
        logger.info(
            "%s: %d images, %d classes of things, %d labels of stuff",
            self.metadata.name,
            len(self),
            self.num_classes,
            len(self.metadata.stuff_classes),
        )
        if self.problems:
            logger.warning("%s: skipped %s", self.panoptic_json, self._log.report())


def _entry_problem(annotation: Any) -> Problem | None:
    """Return what is wrong with the form of an entry of "annotations"; None if nothing is."""
    if not isinstance(annotation, dict):
        return Problem("no dict", f"it is a {type(annotation).__name__}, not a dict")
    if not is_id(annotation.get("image_id")):
        return Problem("wrong image_id", f"image_id must be an id, got {annotation.get('image_id')!r}")
    if not isinstance(annotation.get("file_name"), str):
        return Problem("wrong file_name", f"file_name must be text, got {annotation.get('file_name')!r}")
    segments = annotation.get("segments_info")
    if not isinstance(segments, list) or not all(isinstance(segment, dict) for segment in segments):
        return Problem("malformed segments", "segments_info must be a list of dicts")
    for segment in segments:
        for key in ("id", "category_id"):
            if not is_whole(segment.get(key)):
                return Problem(
                    "malformed segments",
                    f"{key} of a segment must be a whole number, got {segment.get(key)!r}",
                )
        if segment.get("iscrowd", 0) not in (0, 1):
            return Problem("wrong iscrowd", f"iscrowd must be 0 or 1, got {segment['iscrowd']!r}")
    return None
