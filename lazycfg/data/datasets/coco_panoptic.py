"""Panoptic segmentation in COCO's format: segments in a JSON file, their pixels as colours in PNG files."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .base import Record, SerializedList, get_annotations
from .coco_files import missing_files, read_coco_json
from .coco_validation import AnnotationError, image_problem, kind_of_problem
from .label_maps import labels_of_segments, read_segment_ids
from .panoptic_classes import panoptic_metadata, segments_with_labels
from .summary import DatasetSummary

logger = logging.getLogger(__name__)


class CocoPanopticDataset:
    """Pictures whose pixels belong to segments: things, which can be counted, and stuff, which cannot.

    A record has "pan_seg_file_name", "segments_info" (dicts with "id", "category_id", "isthing", "iscrowd",
    "bbox", "area") and, for semantic segmentation, "sem_seg_file_name" or "sem_seg", a map (H, W) of labels;
    with `instances`, "annotations" besides.

    The classes of things are numbered from 0, as in the file of instances. For stuff there are two customs:
    label 0 of the maps stands for all things and stuff is 1, 2... (`separated`, which Panoptic FPN takes), or
    the maps tell all classes apart, in the order of the ids in the file. The "category_id" of a thing is its
    number among things, that of stuff its label.

    Args:
        panoptic_json: file with "categories" (each with "isthing"), "images" and "annotations".
        panoptic_root: folder of the PNG files.
        image_root: folder of the pictures.
        instances: a dataset of the same pictures, found by "image_id", whose "annotations" are given.
        sem_seg_root: folder of label maps with the names of the PNG files; None: made of those as needed.
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

    def __init__(
        self,
        *,
        panoptic_json: str | os.PathLike[str],
        panoptic_root: str | os.PathLike[str],
        image_root: str | os.PathLike[str],
        instances: Any = None,
        sem_seg_root: str | os.PathLike[str] | None = None,
        separated: bool = True,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
    ) -> None:
        if on_error not in ("raise", "skip"):
            raise ValueError(f'CocoPanopticDataset: on_error must be "raise" or "skip", got {on_error!r}')
        self.panoptic_json = str(panoptic_json)
        self.panoptic_root, self.image_root = Path(panoptic_root), Path(image_root)
        self.sem_seg_root = None if sem_seg_root is None else Path(sem_seg_root)
        self.on_error = on_error
        self.problems: Counter[str] = Counter()
        data = read_coco_json(panoptic_json)
        try:
            self.metadata = panoptic_metadata(
                data["categories"],
                separated=separated,
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
        """Classes of things."""
        return len(self.metadata.thing_classes)

    @property
    def summary(self) -> DatasetSummary:
        """Counts of the instances."""
        if self._instances is None:
            return DatasetSummary(num_images=len(self))
        result = DatasetSummary()
        for i in range(len(self)):
            result.add(self.get_annotations(i), i)
        return result

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        """The record, a fresh object at every call.

        Raises:
            FileNotFoundError, ImageError: the PNG file is missing or damaged.
            AnnotationError: it is of another size than its picture.
        """
        record = self.get_annotations(index)
        if self.sem_seg_root is None:
            record["sem_seg"] = self._labels(record, self._records[index]["_label_of_id"])
        return record

    def get_annotations(self, index: int) -> Record:
        """The record without its map of labels."""
        record = self._records[index]
        del record["_label_of_id"]
        position = record.pop("_instances")
        if position is not None:
            record["annotations"] = get_annotations(self._instances, position)["annotations"]
        return record

    def __repr__(self) -> str:
        return f"CocoPanopticDataset({self.panoptic_json!r}, {len(self)} images)"

    def _labels(self, record: Record, label_of_id: dict[int, int]) -> np.ndarray:
        ids = read_segment_ids(record["pan_seg_file_name"])
        if ids.shape != (record["height"], record["width"]):
            raise AnnotationError(
                f"{record['pan_seg_file_name']} is {ids.shape[1]}x{ids.shape[0]} (width x height), its "
                f"picture {record['width']}x{record['height']}"
            )
        return labels_of_segments(ids, label_of_id, self.metadata.ignore_label)

    def _check_things(self) -> None:
        """The numbers of things must mean the same in both files."""
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
        images = {im["id"]: im for im in data["images"] if self._accept("image", im, image_problem(im))}
        file_names = [str(a["file_name"]) for a in data["annotations"]]
        missing = {
            "picture": self._missing(
                "picture", self.image_root, [str(im["file_name"]) for im in images.values()]
            ),
            "panoptic map": self._missing("panoptic map", self.panoptic_root, file_names),
            "label map": self._missing("label map", self.sem_seg_root, file_names),
        }
        count = 0 if self._instances is None else len(self._instances)
        positions = {get_annotations(self._instances, i)["image_id"]: i for i in range(count)}
        for annotation in data["annotations"]:
            image = images.get(annotation.get("image_id"))
            problem = self._problem(annotation, image, missing, positions)
            if not self._accept("annotation", annotation, problem) or image is None:
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
        """Those of the names that are not files below `root`. Raises unless they are to be skipped."""
        if root is None:
            return set()
        if not root.is_dir():
            raise FileNotFoundError(f"{self.panoptic_json}: no folder {str(root)!r} of {what}s")
        missing = missing_files(root, names)
        if missing and self.on_error == "raise":
            raise FileNotFoundError(
                f"{self.panoptic_json}: {len(missing)} of {len(names)} {what}s are not in {str(root)!r}; "
                f'first: {sorted(missing)[:3]}. CocoPanopticDataset(on_error="skip") leaves them out'
            )
        return missing

    def _problem(
        self,
        annotation: dict[str, Any],
        image: dict[str, Any] | None,
        missing: dict[str, set[str]],
        positions: dict[Any, int],
    ) -> str | None:
        """What is wrong with the segments of a picture, in words; None if nothing is."""
        if image is None:
            return f"image_id {annotation.get('image_id')!r} is not among the file's images"
        for what, names in missing.items():
            if (image if what == "picture" else annotation)["file_name"] in names:
                return f"the {what} is missing"
        if self._instances is not None and image["id"] not in positions:
            return f"image_id {image['id']!r} is not in the dataset of instances"
        metadata = self.metadata
        known = {*metadata.thing_dataset_id_to_contiguous_id, *metadata.stuff_dataset_id_to_contiguous_id}
        segments = annotation["segments_info"]
        for segment in segments:
            if segment.get("category_id") not in known:
                return f"category_id {segment.get('category_id')!r} is not among the file's categories"
        if len({segment["id"] for segment in segments}) < len(segments):
            return "two segments have the same id"
        return None

    def _accept(self, kind: str, entry: dict[str, Any], problem: str | None) -> bool:
        """Whether an entry of the file is to be used. Raises or counts where it is not."""
        if problem is None:
            return True
        if self.on_error == "raise":
            raise AnnotationError(
                f"{self.panoptic_json}: {kind} {entry.get('id', entry.get('image_id'))!r} "
                f'({entry.get("file_name")}): {problem}. CocoPanopticDataset(on_error="skip") leaves such '
                "records out"
            )
        self.problems[f"{kind}: {kind_of_problem(problem)}"] += 1
        return False

    def _report(self) -> None:
        logger.info(
            "%s: %d images, %d classes of things, %d labels of stuff",
            self.metadata.name,
            len(self),
            self.num_classes,
            len(self.metadata.stuff_classes),
        )
        if self.problems:
            counts = "; ".join(f"{n} x {kind}" for kind, n in self.problems.most_common())
            logger.warning("%s: skipped %s", self.panoptic_json, counts)
