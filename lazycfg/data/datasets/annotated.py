"""Datasets whose annotations are read from files of whatever format, and judged entry by entry."""

from __future__ import annotations

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lazycfg.structures import BoxMode
from lazycfg.utils import counted, printable

from ..image import ImageError, read_image_size, swapped_hint
from .base import Record, SerializedList
from .coco_categories import Categories, category_id, read_categories
from .coco_validation import (
    AnnotationError,
    MissingImagesError,
    Problem,
    ProblemLog,
    SkipsProblems,
    annotation_problem,
    image_problem,
    is_id,
    value_problem,
)
from .image_files import SimilarFiles, locate, missing_files
from .metadata import Metadata
from .summary import DatasetSummary

logger = logging.getLogger(__name__)


WHERE = "\0where"
"""Key of an annotation with the words that name it in messages, which no JSON file has."""

_VALUES = {"segmentation": "mask", "keypoints": "keypoints", "area": "area"}


class AnnotatedImages(SkipsProblems):
    """Images and their boxes, masks and keypoints, of which a subclass reads the annotations.

    Whatever the format of the files, `read_file` gives their contents in COCO's layout; this class judges
    every entry and makes the records.

    Args:
        source: the file or folder, for messages; also ``metadata.json_file``.
        image_root: folder the file names start from; None: `find_root` is asked.
        name: for logs and reports.
        on_error: "raise" at the first image that is missing or annotation that cannot be right (unknown
            category or image, box without area or outside the image, polygon of odd length, values that are
            no numbers, ...), or "skip" those and count them in `problems`. An annotation whose box is good is
            kept without the mask or the keypoints that are not (see "unusable" in `Record`).
        verify_images: True: also open every image and compare its size with the annotations' (reads headers
            only). None: the files must be there. False: they are not looked for.
        extra_annotation_keys: further keys of annotations to keep.
        ignore_keys: any of "segmentation", "keypoints" and "area", which are not read.
        ignore_categories: names of categories that are left out, with their annotations.
        keypoint_flip_map: pairs of keypoint names that swap when mirrored; None: names that differ in
            "left"/"right".
        keypoint_oks_sigmas: evaluation tolerances, one per keypoint.

    Attributes:
        metadata: `Metadata` with classes and, if the file has them, keypoint names and skeleton.
        problems: counts of what was skipped, by kind; empty with on_error="raise".
        faults: each entry that was skipped, and why.
        warnings: sentences about what looks wrong, such as boxes that seem to be corners; logged once.
        summary: counts of what there is.
        image_sizes: (N, 2) height and width, pixels.

    Raises:
        FileNotFoundError: annotation file or images not found; the message lists where it was looked.
        AnnotationError: a record that cannot be right; the message names file, image and annotation.
    """

    validated = True

    def __init__(
        self,
        source: str,
        *,
        image_root: str | os.PathLike[str] | None,
        name: str,
        on_error: Literal["raise", "skip"] = "raise",
        verify_images: bool | None = None,
        extra_annotation_keys: Sequence[str] = (),
        ignore_keys: Sequence[str] = (),
        ignore_categories: Sequence[str] = (),
        keypoint_flip_map: Sequence[tuple[str, str]] | None = None,
        keypoint_oks_sigmas: Sequence[float] = (),
    ) -> None:
        self.source = source
        self._log = ProblemLog(source, on_error, type(self).__name__)
        unknown = sorted(set(ignore_keys) - set(_VALUES))
        if isinstance(ignore_keys, str) or unknown:
            raise ValueError(
                f"{type(self).__name__}: ignore_keys must be a list of any of {list(_VALUES)}, "
                f"got {ignore_keys!r}"
            )
        self._ignored_keys = frozenset(ignore_keys)
        data = self.read_file()
        images = [
            {**im, "width": int(im["width"]), "height": int(im["height"])}
            for index, im in enumerate(data["images"])
            if self._log.accept(
                "image",
                _name_of("image", im, index),
                image_problem(im) or self.further_image_problem(im),
            )
        ]
        self._check_ids(images)
        names = [im["file_name"] for im in images]
        self._relocated: list[tuple[str, Path]] = []
        self.image_root = self.find_root(names, verify_images) if image_root is None else str(image_root)
        if verify_images is not False:
            images = self._existing(images, verify_images)
        categories = read_categories(data["categories"], source, ignore_categories)
        self.metadata = self._metadata(categories, name, keypoint_flip_map, keypoint_oks_sigmas)
        self.summary = DatasetSummary()
        self.image_sizes = np.array(
            [(int(im["height"]), int(im["width"])) for im in images], dtype=np.int32
        ).reshape(-1, 2)
        by_image = self._annotations_by_image(data["annotations"], data["images"], images, categories.ignored)
        self._records = SerializedList(self.make_records(images, by_image, tuple(extra_annotation_keys)))
        self.summary.plausibility.add_file_names(im["file_name"] for im in images)
        self.warnings = [
            *categories.warnings,
            *self._names_elsewhere(images, len(names)),
            *self.further_warnings(),
            *self.summary.warnings(),
        ]
        self._report()

    @property
    def num_classes(self) -> int:
        """Return the number of thing classes."""
        return len(self.metadata.thing_classes)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        """Return the record (see `Record`), a new object at every call; boxes are XYWH, or XYWHA where the
        file has five numbers.
        """
        return self._records[index]

    def __repr__(self) -> str:
        images, classes = counted(len(self), "image"), counted(self.num_classes, "class")
        return f"{type(self).__name__}({self.source!r}, {images}, {classes})"

    def read_file(self) -> dict[str, Any]:
        """Return the annotations in COCO's layout, a dict of lists "images", "annotations" and "categories".

        A key `WHERE` of an annotation names it in messages, in the place of its "id".

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def find_root(self, names: Sequence[str], verify_images: bool | None) -> str:
        """Return the folder that file names are relative to, if none was given.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def further_warnings(self) -> list[str]:
        """Return further warnings about the dataset as a whole. For subclasses that read more."""
        return []

    def further_image_problem(self, image: dict[str, Any]) -> Problem | None:
        """Return what else is wrong with an entry of "images". For subclasses that read more of it."""
        return None

    def _existing(self, images: list[dict[str, Any]], verify: bool | None) -> list[dict[str, Any]]:
        """Return the images whose files are there; a name of another machine becomes that of its file."""
        root = Path(self.image_root)
        if not root.is_dir():
            raise MissingImagesError(
                f"{self.source}: no folder {self.image_root!r} (image_root)", {"image_root": "FOLDER"}
            )
        missing = missing_files(root, [im["file_name"] for im in images])
        for im in images:
            path = locate(root, im["file_name"]) if im["file_name"] in missing else None
            if path is not None:
                self._relocated.append((im["file_name"], path))
                im["file_name"] = os.path.relpath(path, root)
        names = [im["file_name"] for im in images]
        missing &= set(names)
        similar = SimilarFiles()
        if missing and self.on_error == "raise":
            raise MissingImagesError(
                f"{self.source}: {len(missing)} of {len(names)} images are not in {self.image_root!r}; "
                f"first: {sorted(missing)[:3]}{similar.near(root / min(missing))}",
                {"on_error": "skip"},
                f'. {type(self).__name__}(on_error="skip") leaves them out',
            )
        result = []
        for im, file_name in zip(images, names, strict=True):
            problem = None
            if file_name in missing:
                near = similar.near(root / file_name)
                problem = Problem("the file is missing", f"the file is missing{near}")
            elif verify:
                problem = _size_problem(root / file_name, im)
            if self._log.accept("image", _name_of("image", im), problem):
                result.append(im)
        return result

    def _check_ids(self, images: list[dict[str, Any]]) -> None:
        doubled = [i for i, n in Counter(im["id"] for im in images).items() if n > 1]
        if doubled:
            raise AnnotationError(
                f"{self.source}: image ids {doubled[:5]} occur more than once; it is not known "
                "whose annotations are whose"
            )

    def _metadata(
        self,
        categories: Categories,
        name: str,
        flip_map: Sequence[tuple[str, str]] | None,
        sigmas: Sequence[float],
    ) -> Metadata:
        keypoints = () if "keypoints" in self._ignored_keys else categories.keypoints
        if flip_map is None:
            flip_map = [(k, k.replace("left", "right")) for k in keypoints if "left" in k]
            flip_map = [(a, b) for a, b in flip_map if b in keypoints]
        return Metadata(
            name=name,
            thing_classes=categories.names,
            thing_dataset_id_to_contiguous_id={i: n for n, i in enumerate(categories.ids)},
            keypoint_names=keypoints,
            keypoint_flip_map=tuple((a, b) for a, b in flip_map),
            keypoint_connection_rules=categories.skeleton if keypoints else (),
            keypoint_oks_sigmas=tuple(sigmas),
            json_file=self.source,
            image_root=self.image_root,
        )

    def _annotations_by_image(
        self,
        annotations: list[Any],
        listed: list[Any],
        used: list[dict[str, Any]],
        ignored: frozenset[int],
    ) -> dict[Any, list[dict[str, Any]]]:
        """Return the annotations that can be used, whose "category_id" is that of the records."""
        known = {im["id"] for im in listed if isinstance(im, dict) and is_id(im.get("id"))}
        used_by_id = {im["id"]: im for im in used}
        contiguous = self.metadata.thing_dataset_id_to_contiguous_id
        by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for index, entry in enumerate(annotations):
            image = None
            if not isinstance(entry, dict):
                problem: Problem | None = Problem("no dict", f"it is a {type(entry).__name__}, not a dict")
            elif not is_id(image_id := entry.get("image_id")) or image_id not in known:
                problem = _unknown_image(entry.get("image_id"), known)
            else:
                image = used_by_id.get(image_id)
                if image is None:
                    continue  # the image was skipped, and counted there
                number = category_id(entry.get("category_id"))
                if number in ignored:
                    continue
                entry = self.as_coco(dict(entry))
                if number is not None:
                    entry["category_id"] = number
                problem = annotation_problem(entry, image, contiguous) or self.further_problem(entry, image)
            where = _name_of("annotation", entry, index, image)
            if self._log.accept("annotation", where, problem) and image is not None:
                self._set_aside(entry, image, where)
                by_image[image["id"]].append(entry)
        return by_image

    def as_coco(self, annotation: dict[str, Any]) -> dict[str, Any]:
        """Return an annotation with COCO's keys: for a subclass whose files mean something else by one of
        them, which it may rename in the dict that it is given.
        """
        return annotation

    def further_problem(self, annotation: dict[str, Any], image: dict[str, Any]) -> Problem | None:
        """Return what else is wrong with an annotation. For subclasses that read more of it.

        Args:
            annotation: entry of "annotations", whose class and box are right.
            image: its entry of "images".
        """
        return None

    def _set_aside(self, annotation: dict[str, Any], image: dict[str, Any], where: str) -> None:
        """Move values that cannot be used from an annotation to its "unusable"."""
        unusable = {}
        for key, sort in _VALUES.items():
            value = annotation.get(key)
            if key in self._ignored_keys or value is None or (key != "area" and value in ([], {}, "")):
                annotation.pop(key, None)
                continue
            problem = value_problem(
                key, value, image["width"], image["height"], len(self.metadata.keypoint_names)
            )
            advice = f', ignore_keys=["{key}"] does not read them'
            if not self._log.accept(sort, where, problem, advice) and problem is not None:
                del annotation[key]
                unusable[key] = problem.text
        if unusable:
            annotation["unusable"] = unusable

    def make_records(
        self, images: list[dict[str, Any]], by_image: dict[Any, list[dict[str, Any]]], extra: tuple[str, ...]
    ) -> Iterator[Record]:
        """Yield the record of each image, in their order.

        Args:
            images: entries of "images" that are used.
            by_image: id of an image -> its entries of "annotations" that are used; emptied on the way.
            extra: further keys of annotations to keep.
        """
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
                if "area" in a:
                    annotation["area"] = float(a["area"])
                if "keypoints" in a:
                    annotation["keypoints"] = _continuous(a["keypoints"])
                annotation.update({k: a[k] for k in ("segmentation", "unusable", *extra) if k in a})
                annotations.append(annotation)
            record = {
                "file_name": os.path.join(self.image_root, im["file_name"]),
                "image_id": im["id"],
                "height": int(im["height"]),
                "width": int(im["width"]),
                "annotations": annotations,
            }
            self.summary.add(record, number)
            yield record

    def _names_elsewhere(self, images: list[dict[str, Any]], total: int) -> list[str]:
        result = []
        if self._relocated:
            name, path = self._relocated[0]
            result.append(
                f"{len(self._relocated)} of {total} file names are of another machine; the files were "
                f"found below {self.image_root!r} (first: {printable(name)} is {printable(path)})"
            )
        names = [im["file_name"] for im in images]
        outside = [name for name in names if os.path.isabs(name) or ".." in Path(name).parts]
        if outside:
            result.append(
                f"{len(outside)} of {len(names)} file names are absolute or lead out of image_root "
                f"{self.image_root!r} (first: {outside[0]!r})"
            )
        return result

    def _report(self) -> None:
        s = self.summary
        logger.info(
            "%s: %s (%d without instances), %s of %s, %s",
            printable(self.metadata.name),
            counted(s.num_images, "image"),
            s.num_empty_images,
            counted(s.num_instances, "instance"),
            counted(self.num_classes, "class"),
            counted(s.num_crowd, "crowd region"),
        )
        if self.problems:
            logger.warning("%s: skipped %s", self.source, self._log.report())
        for sentence in self.warnings:
            logger.warning("%s: %s", self.source, sentence)


def _name_of(sort: str, entry: Any, index: int | None = None, image: dict[str, Any] | None = None) -> str:
    """Return words by which a person finds an entry of the file."""
    if isinstance(entry, dict) and WHERE in entry:
        return printable(entry[WHERE])
    if not isinstance(entry, dict) or entry.get("id") is None:
        return f"{sort}s[{index}]" + (f" of {printable(image['file_name'])}" if image else "")
    where = f"{sort} {printable(entry['id'])}"
    if sort == "image":
        return where + (f" ({printable(entry['file_name'])})" if entry.get("file_name") else "")
    return where + (f" of {printable(image['file_name'])}" if image else "")


def _unknown_image(image_id: Any, known: set[Any]) -> Problem:
    hint = ""
    if isinstance(image_id, str) and image_id.isdecimal() and int(image_id) in known:
        hint = "; ids of images are numbers there, and this is text"
    elif isinstance(image_id, int) and str(image_id) in known:
        hint = "; ids of images are text there, and this is a number"
    return Problem("unknown image", f"image_id {image_id!r} is not among the file's images{hint}")


def _continuous(keypoints: list[float]) -> list[float]:
    """From pixel indices to continuous coordinates; points that are not labelled stay at (0, 0)."""
    result = list(keypoints)
    for i in range(0, len(result), 3):
        if result[i + 2] > 0:
            result[i] += 0.5
            result[i + 1] += 0.5
    return result


def _size_problem(path: Path, image: dict[str, Any]) -> Problem | None:
    try:
        height, width = read_image_size(path)
    except ImageError as error:
        return Problem("unreadable", str(error))
    if (width, height) != (image["width"], image["height"]):
        return Problem(
            "another size",
            f"the image is {width}x{height}, the record says {image['width']}x{image['height']}"
            f"{swapped_hint((image['height'], image['width']), (height, width))}",
        )
    return None
