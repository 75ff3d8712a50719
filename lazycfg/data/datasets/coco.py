"""Datasets annotated in COCO's JSON format."""

from __future__ import annotations

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lazycfg.structures import BoxMode

from ..image import ImageError, read_image_size
from .base import Record, SerializedList
from .coco_files import find_image_root, missing_files, read_coco_json
from .coco_validation import AnnotationError, annotation_problem, image_problem, kind_of_problem
from .metadata import Metadata
from .summary import DatasetSummary

logger = logging.getLogger(__name__)


class CocoDataset:
    """Pictures and their boxes, masks and keypoints as a COCO annotation file tells.

    Category ids become 0, 1, 2... in the order of the ids. Pictures without annotations are kept (see
    `FilteredDataset`), and so are crowd regions ("iscrowd": 1). Keypoints are moved by half a pixel, from
    pixel indices to continuous coordinates.

    Args:
        json_file: annotation file.
        image_root: folder the file names start from; None: looked for near `json_file`, see
            `candidate_roots`.
        name: for logs and reports; the stem of `json_file` when None.
        on_error: "raise" at the first picture that is missing or annotation that cannot be right (unknown
            category or picture, box without area or outside the picture, polygon of odd length, values that
            are no numbers, ...), or "skip" those and count them in `problems`.
        verify_images: also open every picture and compare its size with the file's (reads headers only).
        extra_annotation_keys: further keys of annotations to keep.
        keypoint_flip_map: pairs of keypoint names that swap when mirrored; None: names that differ in
            "left"/"right".
        keypoint_oks_sigmas: evaluation tolerances, one per keypoint.

    Attributes:
        metadata: `Metadata` with classes and, if the file has them, keypoint names.
        problems: counts of what was skipped, by kind; empty with on_error="raise".
        summary: counts of what there is.
        image_sizes: (N, 2) height and width, pixels.

    Raises:
        FileNotFoundError: annotation file or pictures not found; the message lists where it was looked.
        AnnotationError: a record that cannot be right; the message names file, picture and annotation.
    """

    def __init__(
        self,
        *,
        json_file: str | os.PathLike[str],
        image_root: str | os.PathLike[str] | None = None,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        verify_images: bool = False,
        extra_annotation_keys: Sequence[str] = (),
        keypoint_flip_map: Sequence[tuple[str, str]] | None = None,
        keypoint_oks_sigmas: Sequence[float] = (),
    ) -> None:
        if on_error not in ("raise", "skip"):
            raise ValueError(f'CocoDataset: on_error must be "raise" or "skip", got {on_error!r}')
        self.json_file = str(json_file)
        self.on_error = on_error
        self.problems: Counter[str] = Counter()
        data = read_coco_json(json_file)
        images = [im for im in data["images"] if self._accept("image", im, image_problem(im))]
        names = [str(im["file_name"]) for im in images]
        self.image_root = str(find_image_root(json_file, names) if image_root is None else image_root)
        images = self._existing(images, names, verify_images)
        self.metadata = self._metadata(
            data["categories"], name or Path(json_file).stem, keypoint_flip_map, keypoint_oks_sigmas
        )
        self.summary = DatasetSummary()
        self.image_sizes = np.array([(im["height"], im["width"]) for im in images], dtype=np.int32).reshape(
            -1, 2
        )
        by_image = self._annotations_by_image(data["annotations"], data["images"], images)
        self._records = SerializedList(self._make_records(images, by_image, tuple(extra_annotation_keys)))
        self._report()

    @property
    def num_classes(self) -> int:
        return len(self.metadata.thing_classes)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        """The record (see `Record`), a fresh object at every call; boxes are XYWH, or XYWHA where
        the file has five numbers."""
        return self._records[index]

    def __repr__(self) -> str:
        return f"CocoDataset({self.json_file!r}, {len(self)} images, {self.num_classes} classes)"

    def _accept(self, kind: str, entry: dict[str, Any], problem: str | None, image: Any = None) -> bool:
        """Whether an entry of the file is to be used. Raises or counts where it is not."""
        if problem is None:
            return True
        where = f"{kind} {entry.get('id')!r}"
        image = entry if kind == "image" else image
        if image is not None and image.get("file_name"):
            where += f" ({image['file_name']})" if kind == "image" else f" of {image['file_name']}"
        message = f"{self.json_file}: {where}: {problem}"
        if self.on_error == "raise":
            raise AnnotationError(f'{message}. CocoDataset(on_error="skip") leaves such records out')
        self.problems[f"{kind}: {kind_of_problem(problem)}"] += 1
        logger.debug("skipped %s", message)
        return False

    def _existing(self, images: list[dict[str, Any]], names: list[str], verify: bool) -> list[dict[str, Any]]:
        root = Path(self.image_root)
        if not root.is_dir():
            raise FileNotFoundError(f"{self.json_file}: no folder {self.image_root!r} (image_root)")
        missing = missing_files(root, names)
        if missing and self.on_error == "raise":
            raise FileNotFoundError(
                f"{self.json_file}: {len(missing)} of {len(names)} images are not in {self.image_root!r}; "
                f'first: {sorted(missing)[:3]}. CocoDataset(on_error="skip") leaves them out'
            )
        result = []
        for im, file_name in zip(images, names, strict=True):
            problem = "the file is missing" if file_name in missing else None
            if problem is None and verify:
                problem = _size_problem(root / file_name, im)
            if self._accept("image", im, problem):
                result.append(im)
        return result

    def _metadata(
        self,
        categories: list[dict[str, Any]],
        name: str,
        flip_map: Sequence[tuple[str, str]] | None,
        sigmas: Sequence[float],
    ) -> Metadata:
        if not categories:
            raise ValueError(f"{self.json_file}: the list of categories is empty")
        categories = sorted(categories, key=lambda c: c["id"])
        ids = [int(c["id"]) for c in categories]
        doubled = [i for i, n in Counter(ids).items() if n > 1]
        if doubled:
            raise ValueError(f"{self.json_file}: category ids {doubled} occur more than once")
        keypoints = max((tuple(c.get("keypoints", ())) for c in categories), key=len)
        if flip_map is None:
            flip_map = [(k, k.replace("left", "right")) for k in keypoints if "left" in k]
            flip_map = [(a, b) for a, b in flip_map if b in keypoints]
        return Metadata(
            name=name,
            thing_classes=tuple(str(c["name"]) for c in categories),
            thing_dataset_id_to_contiguous_id={i: n for n, i in enumerate(ids)},
            keypoint_names=keypoints,
            keypoint_flip_map=tuple((a, b) for a, b in flip_map),
            keypoint_oks_sigmas=tuple(sigmas),
            json_file=self.json_file,
            image_root=self.image_root,
        )

    def _annotations_by_image(
        self, annotations: list[dict[str, Any]], listed: list[dict[str, Any]], used: list[dict[str, Any]]
    ) -> dict[Any, list[dict[str, Any]]]:
        known = {im.get("id") for im in listed}
        used_by_id = {im["id"]: im for im in used}
        if len(used_by_id) < len(used):
            doubled = [i for i, n in Counter(im["id"] for im in used).items() if n > 1]
            raise AnnotationError(f"{self.json_file}: image ids {doubled[:5]} occur more than once")
        categories = self.metadata.thing_dataset_id_to_contiguous_id
        num_keypoints = len(self.metadata.keypoint_names)
        by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for annotation in annotations:
            image_id = annotation.get("image_id")
            image = used_by_id.get(image_id)
            problem = None
            if image is not None:
                problem = annotation_problem(annotation, image, categories, num_keypoints)
            elif image_id not in known:
                problem = f"image_id {image_id!r} is not among the file's images"
            if self._accept("annotation", annotation, problem, image) and image is not None:
                by_image[image_id].append(annotation)
        return by_image

    def _make_records(
        self, images: list[dict[str, Any]], by_image: dict[Any, list[dict[str, Any]]], extra: tuple[str, ...]
    ) -> Any:
        contiguous = self.metadata.thing_dataset_id_to_contiguous_id
        for number, im in enumerate(images):
            annotations = []
            for a in by_image.pop(im["id"], ()):
                annotation: dict[str, Any] = {
                    "bbox": [float(v) for v in a["bbox"]],
                    "bbox_mode": BoxMode.XYWHA_ABS if len(a["bbox"]) == 5 else BoxMode.XYWH_ABS,
                    "category_id": contiguous[a["category_id"]],
                    "iscrowd": int(a.get("iscrowd", 0)),
                }
                if a.get("area") is not None:
                    annotation["area"] = float(a["area"])
                if a.get("segmentation"):
                    annotation["segmentation"] = a["segmentation"]
                if a.get("keypoints"):
                    annotation["keypoints"] = _continuous(a["keypoints"])
                annotation.update({k: a[k] for k in extra if k in a})
                annotations.append(annotation)
            record = {
                "file_name": os.path.join(self.image_root, str(im["file_name"])),
                "image_id": im["id"],
                "height": int(im["height"]),
                "width": int(im["width"]),
                "annotations": annotations,
            }
            self.summary.add(record, number)
            yield record

    def _report(self) -> None:
        s = self.summary
        logger.info(
            "%s: %d images (%d without instances), %d instances of %d classes, %d crowd regions",
            self.metadata.name,
            s.num_images,
            s.num_empty_images,
            s.num_instances,
            self.num_classes,
            s.num_crowd,
        )
        if self.problems:
            counts = "; ".join(f"{n} x {kind}" for kind, n in self.problems.most_common())
            logger.warning("%s: skipped %s", self.json_file, counts)


def _continuous(keypoints: list[float]) -> list[float]:
    """From pixel indices to continuous coordinates; points that are not labelled stay at (0, 0)."""
    result = list(keypoints)
    for i in range(0, len(result), 3):
        if result[i + 2] > 0:
            result[i] += 0.5
            result[i + 1] += 0.5
    return result


def _size_problem(path: Path, image: dict[str, Any]) -> str | None:
    try:
        height, width = read_image_size(path)
    except ImageError as error:
        return str(error)
    if (width, height) != (image["width"], image["height"]):
        return f"the picture is {width}x{height}, the record says {image['width']}x{image['height']}"
    return None
