"""Data sets of the library `datasets` of Hugging Face."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lazycfg.utils import closest, printable

from ...image import ImageError, open_image, upright_size
from ..annotated import WHERE, AnnotatedImages
from ..base import Record
from ..coco_validation import Problem, is_number, is_whole
from .classes import ClassNames

BoxFormat = Literal["xywh", "xyxy", "cxcywh"]
_LABEL_KEYS = ("category", "category_id", "categories", "label", "labels", "class", "objects_category")


class HuggingFaceDataset(AnnotatedImages):
    """Images and boxes of a data set of the library ``datasets`` (``pip install datasets``).

    A row has an image and its objects, a dict of lists or a list of dicts with boxes and classes. Images are
    decoded when a record is read, and not before.

    Args:
        dataset: a ``datasets.Dataset``; or the folder of one that ``save_to_disk`` wrote.
        split: of a ``DatasetDict``, and of a folder of one.
        image_key, objects_key: columns of the images and of the objects.
        bbox_key: of a box in the objects.
        category_key: of its class; None: the first that there is of "category", "category_id", "label", ...
        box_format: "xywh" (corner and size), "xyxy" (two corners) or "cxcywh" (centre and size).
        relative: boxes are in parts of the width and height, and not in pixels.
        class_names: of the classes by number; None: as the column of classes says (a ``ClassLabel``).
        name: for logs and reports.
        on_error: "raise" at the first row or object that cannot be right, or "skip" those and count them in
            `problems`.
        ignore_categories: names of classes that are left out, with their objects.

    Attributes:
        metadata, problems, faults, warnings, summary, image_sizes: see `AnnotatedImages`.

    Raises:
        ImportError: the library is not installed.
        ValueError: a column is not there, or nothing tells the names of the classes.
        AnnotationError: an object that cannot be right; the message names row, object and reason.
    """

    validated = True

    def __init__(
        self,
        *,
        dataset: Any,
        split: str | None = None,
        image_key: str = "image",
        objects_key: str = "objects",
        bbox_key: str = "bbox",
        category_key: str | None = None,
        box_format: BoxFormat = "xywh",
        relative: bool = False,
        class_names: Sequence[str] | None = None,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        ignore_categories: Sequence[str] = (),
    ) -> None:
        if box_format not in ("xywh", "xyxy", "cxcywh"):
            raise ValueError(
                f'HuggingFaceDataset: box_format must be "xywh", "xyxy" or "cxcywh", got {box_format!r}'
            )
        self._data, source = _opened(dataset, split)
        self._keys = (image_key, objects_key, bbox_key)
        columns = list(self._data.column_names)
        for key in (image_key, objects_key):
            if key not in columns:
                raise ValueError(
                    f"{source}: there is no column {key!r}{closest(key, columns)}; it has: {columns}"
                )
        self._format, self._relative = box_format, relative
        feature = self._data.features[objects_key]
        fields = _fields(feature)
        if bbox_key not in fields:
            raise ValueError(
                f"{source}: its {objects_key!r} have no {bbox_key!r}{closest(bbox_key, fields)}; they "
                f"have: {list(fields)}"
            )
        self._category_key = category_key or next((key for key in _LABEL_KEYS if key in fields), "")
        if self._category_key not in fields:
            raise ValueError(
                f"{source}: its {objects_key!r} have no {category_key or 'category'!r}, give category_key, "
                f"one of {list(fields)}"
            )
        names = class_names if class_names is not None else getattr(fields[self._category_key], "names", None)
        self._by_text = getattr(fields[self._category_key], "dtype", "") == "string"
        if names is None and not self._by_text:
            raise ValueError(
                f"{source}: its {self._category_key!r} are numbers, and nothing tells their names: give "
                "class_names"
            )
        self._names = None if names is None else tuple(names)
        self._classes = ClassNames(self._names, "class_names")
        super().__init__(
            source,
            image_root="",
            name=name or source,
            on_error=on_error,
            verify_images=False,
            ignore_categories=ignore_categories,
        )

    def further_warnings(self) -> list[str]:
        """Return further warnings about the data set as a whole."""
        return self._classes.warnings()

    def read_file(self) -> dict[str, Any]:
        """Return the annotations in COCO's layout."""
        from datasets import Image as ImageFeature

        image_key, objects_key, _ = self._keys
        heads = self._data.select_columns([image_key, objects_key])
        heads = heads.cast_column(image_key, ImageFeature(decode=False))
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, row in enumerate(heads):
            try:
                height, width = _size(row[image_key])
            except (ImageError, OSError) as error:
                self._log.accept("image", f"row {number}", Problem("unreadable", str(error)))
                continue
            images.append({"id": number, "file_name": f"row {number}", "height": height, "width": width})
            for index, item in enumerate(_items(row[objects_key])):
                where = f"row {number}: object {index}"
                found = self._object(item, width, height)
                if isinstance(found, Problem):
                    self._log.accept("annotation", where, found)
                else:
                    annotations.append({**found, "image_id": number, WHERE: where})
        return self._classes.coco(images, annotations, self._log)

    def make_records(
        self, images: list[dict[str, Any]], by_image: dict[Any, list[dict[str, Any]]], extra: tuple[str, ...]
    ) -> Iterator[Record]:
        """Yield the records, with what this kind of data set has besides."""
        for record in super().make_records(images, by_image, extra):
            del record["file_name"]
            yield record

    def get_annotations(self, index: int) -> Record:
        """Return the record without its image."""
        return self._records[index]

    def __getitem__(self, index: int) -> Record:
        """Return the record with its "image", RGB uint8 (H, W, 3).

        Raises:
            ImageError: the image cannot be decoded.
        """
        import numpy as np

        record = self._records[index]
        try:
            picture = self._data[record["image_id"]][self._keys[0]]
            record["image"] = np.array(picture.convert("RGB"))
        except Exception as error:  # Pillow's decoders raise whatever damaged bytes lead them to
            raise ImageError(
                f"{self.source}: row {record['image_id']}: cannot decode its image: {error}"
            ) from error
        return record

    def _object(self, item: Mapping[str, Any], width: int, height: int) -> dict[str, Any] | Problem:
        value = item.get(self._category_key)
        if self._names is not None and not isinstance(value, str):
            if not is_whole(value) or not 0 <= value < len(self._names):
                return Problem("unknown class", f"class {value!r} is none of 0 to {len(self._names) - 1}")
            value = self._names[int(value)]
        problem = self._classes.problem(value)
        if problem is not None:
            return problem
        box = item.get(self._keys[2])
        if not isinstance(box, list | tuple) or len(box) != 4 or not all(map(is_number, box)):
            return Problem("malformed box", f"a box must be 4 finite numbers, got {printable(box)}")
        a, b, c, d = map(float, box)
        if self._relative:
            if not all(-0.01 <= v <= 1.01 for v in box):
                return Problem("coordinates outside 0 to 1", f"coordinates must be 0 to 1, got {box}")
            a, b, c, d = a * width, b * height, c * width, d * height
        if self._format == "xyxy":
            a, b, c, d = a, b, c - a, d - b
        elif self._format == "cxcywh":
            a, b = a - c / 2, b - d / 2
        return {"category_id": value, "bbox": [a, b, c, d], "iscrowd": 0}


def _opened(dataset: Any, split: str | None) -> tuple[Any, str]:
    """Return a ``datasets.Dataset``, and what to call it."""
    try:
        import datasets
    except ImportError as error:
        raise ImportError("HuggingFaceDataset needs the library datasets: pip install datasets") from error
    source = "dataset"
    if isinstance(dataset, str | os.PathLike):
        source = str(dataset)
        if not Path(dataset).is_dir():
            raise FileNotFoundError(
                f"no folder {source!r} that save_to_disk wrote; of the hub give datasets.load_dataset(...)"
            )
        dataset = datasets.load_from_disk(source)
    if isinstance(dataset, Mapping):
        if split not in dataset:
            near = "" if split is None else closest(split, dataset)
            raise ValueError(f"{source}: give split, one of {list(dataset)}, got {split!r}{near}")
        dataset, source = dataset[split], f"{source} ({split})"
    elif split is not None:
        raise ValueError(f"{source} has no splits: give split=None, not {split!r}")
    return dataset, source


def _fields(feature: Any) -> dict[str, Any]:
    """Return the features of the fields of an object, however lists and dicts are nested."""
    inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) else feature)
    if not isinstance(inner, Mapping):
        return {}
    return {key: getattr(value, "feature", value) for key, value in inner.items()}


def _items(objects: Any) -> list[Mapping[str, Any]]:
    """Return dicts, of a dict of lists or a list of dicts."""
    if isinstance(objects, Mapping):
        count = max((len(v) for v in objects.values() if isinstance(v, list)), default=0)
        return [
            {key: v[i] for key, v in objects.items() if isinstance(v, list) and i < len(v)}
            for i in range(count)
        ]
    return list(objects or ())


def _size(image: Any) -> tuple[int, int]:
    if not isinstance(image, Mapping) or (not image.get("bytes") and not image.get("path")):
        raise ImageError("it has no image")
    try:
        if image.get("bytes"):
            return upright_size(open_image(io.BytesIO(image["bytes"]), None))
        with open(image["path"], "rb") as file:
            return upright_size(open_image(file, None))
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever damaged bytes lead them to
        raise ImageError(f"its image cannot be opened: {error}") from error
