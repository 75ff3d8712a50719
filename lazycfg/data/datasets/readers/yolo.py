"""YOLO's text files: a line for each object, in parts of the width and height of its image."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from lazycfg.utils import closest, printable

from ...image import ImageError, read_image_size
from ..annotated import WHERE, AnnotatedImages
from ..coco_validation import AnnotationError, Problem
from ..image_files import ImageIndex, read_lines
from .polygons import bounds, rotated_box
from .yolo_files import YoloFiles, find_yolo, images_of, label_file

_SLACK = 0.01  # of the image: tools round, and let boxes reach over the border by a little
_NO_LABELS = frozenset(
    ("classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "readme.txt", "license.txt", "notes.txt")
)


class YoloDataset(AnnotatedImages):
    """Images with labels in YOLO's text files: boxes, polygons, or boxes with keypoints.

    ``data.yaml`` tells the names of the classes and where the images of each split are; the labels of
    ``images/train/a.jpg`` are in ``labels/train/a.txt``, or beside the image. A line is the number of the
    class and either ``x y width height`` of a box (its centre) or the points of a polygon, all in parts of
    the width and height of the image as it is upright. With "kpt_shape" in ``data.yaml`` keypoints come after
    the box. An image without a file of labels, or with an empty one, is one without objects.

    Paths of another machine are looked for below the folder of ``data.yaml``, which is said in a warning.

    Args:
        data: ``data.yaml`` or darknet's ``obj.data``, or a folder with it; or a folder of images and labels
            and a ``classes.txt``.
        split: "train", "val" or "test"; None where the data set is not split.
        class_names: names of the classes by number, in the place of those of ``data.yaml``.
        rotated: polygons of four points are rotated boxes; boxes get five numbers.
        name: for logs and reports; the names of folder and split when None.
        on_error: "raise" at the first image that cannot be read or line that cannot be right, or "skip" those
            and count them in `problems`.
        extra_annotation_keys, ignore_keys, ignore_categories: see `AnnotatedImages`.

    Attributes:
        metadata, problems, faults, warnings, summary, image_sizes: see `AnnotatedImages`.

    Raises:
        FileNotFoundError: files or folders are missing; the message lists where they were looked for.
        AnnotationError: a line that cannot be right; the message names file, line and reason.
    """

    validated = True

    def __init__(
        self,
        *,
        data: str | os.PathLike[str],
        split: str | None = "train",
        class_names: Sequence[str] | None = None,
        rotated: bool = False,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        extra_annotation_keys: Sequence[str] = (),
        ignore_keys: Sequence[str] = (),
        ignore_categories: Sequence[str] = (),
    ) -> None:
        self._files, self._split = find_yolo(data, class_names), split
        self._rotated = rotated
        entries = _entries(self._files, split)
        self._images = images_of(entries)
        if not self._images:
            places = ", ".join(map(str, entries))
            raise FileNotFoundError(f"{self._files.source}: there are no images in {places}")
        base = self._files.source if self._files.source.is_dir() else self._files.source.parent
        self._root = _common_root(self._images, base)
        flip = self._files.flip_indices
        keypoints = self._files.keypoints
        pairs = [(keypoints[i], keypoints[j]) for i, j in enumerate(flip) if i < j]
        super().__init__(
            f"{self._files.source} ({split})" if split else str(self._files.source),
            image_root=self._root,
            name=name or "_".join(filter(None, (base.resolve().name, split))),
            on_error=on_error,
            extra_annotation_keys=extra_annotation_keys,
            ignore_keys=ignore_keys,
            ignore_categories=ignore_categories,
            keypoint_flip_map=pairs if flip else None,
        )
        del self._images

    def further_warnings(self) -> list[str]:
        """Return further warnings about the data set as a whole."""
        split = next(iter(self._files.splits)) if self._split is None else self._split
        result = list(self._files.warnings.get(split, ()))
        if self._without_labels:
            result.append(
                f"none of the {len(self)} images has a file of labels (first: {self._without_labels})"
            )
        if self._shared_labels:
            result.append(
                f"{len(self._shared_labels)} files of labels belong to two images or more, that differ in "
                f"their endings (first: {self._shared_labels[0]})"
            )
        return result

    def read_file(self) -> dict[str, Any]:
        """Return the annotations in COCO's layout."""
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        folders: dict[Path, set[Path]] = {}
        labelled = False
        self._without_labels = ""
        self._shared_labels: list[Path] = []
        seen: set[Path] = set()
        for path in self._images:
            name = os.path.relpath(path, self._root)
            labels = label_file(path)
            folders.setdefault(labels.parent, set()).add(path.parent)
            try:
                height, width = read_image_size(path)
            except ImageError as error:
                self._log.accept("image", printable(name), Problem("unreadable", str(error)))
                continue
            images.append({"id": Path(name).as_posix(), "file_name": name, "height": height, "width": width})
            if labels.is_file():
                labelled = True
                if labels in seen:
                    self._shared_labels.append(labels)
                seen.add(labels)
                annotations += self._objects(labels, images[-1])
            elif not labelled:
                self._without_labels = self._without_labels or str(labels)
        self._without_labels = "" if labelled else self._without_labels
        self._look_for_images(folders)
        categories: list[dict[str, Any]] = [
            {"id": number, "name": name} for number, name in enumerate(self._files.names)
        ]
        for category in categories if self._files.keypoints else ():
            category["keypoints"] = list(self._files.keypoints)
        return {"images": images, "annotations": annotations, "categories": categories}

    def _objects(self, labels: Path, image: dict[str, Any]) -> list[dict[str, Any]]:
        result = []
        try:
            lines = list(read_lines(labels, "file of labels"))
        except AnnotationError as error:
            self._log.accept("label file", str(labels), Problem("no text", str(error)))
            return []
        for number, line in lines:
            where = f"{printable(labels)}:{number}"
            found = self._object(line.split(), image["width"], image["height"])
            if isinstance(found, Problem):
                self._log.accept("annotation", where, found)
            else:
                result.append({**found, "image_id": image["id"], WHERE: where})
        return result

    def _object(self, words: list[str], width: int, height: int) -> dict[str, Any] | Problem:
        """Return a line as an entry of "annotations", or what is wrong with it."""
        problem = self._class_problem(words[0])
        if problem is not None:
            return problem
        try:
            values = list(map(float, words[1:]))
        except ValueError:
            wrong = next(word for word in words[1:] if not _is_number(word))
            return Problem(
                "values that are no numbers", f"expected {self._expected()}, got {printable(wrong)!r}"
            )
        if not all(map(math.isfinite, values)):
            return Problem("values that are no numbers", "it has values that are not finite numbers")
        count, size = len(values), self._files.keypoint_numbers
        points: list[float] = []
        if self._files.keypoints:
            expected = 4 + size * len(self._files.keypoints)
            if count != expected:
                return Problem(
                    "another number of keypoints",
                    f"it has {count} numbers after the class; a box and {len(self._files.keypoints)} "
                    f"keypoints of {size} numbers (kpt_shape) have {expected}",
                )
            values, points = values[:4], values[4:]
        elif count != 4 and (count < 6 or count % 2):
            return _count_problem(count)
        places = [*values, *(v for i, v in enumerate(points) if i % size < 2)]
        outside = [v for v in places if not -_SLACK <= v <= 1 + _SLACK]
        if outside:
            hint = "; is it in pixels?" if max(outside) > 2 else ""
            return Problem(
                "coordinates outside 0 to 1",
                f"coordinates must be parts of the width and height, 0 to 1, got {outside[0]:g}{hint}",
            )
        entry: dict[str, Any] = {"category_id": int(float(words[0])), "iscrowd": 0}
        if len(values) == 4:
            x, y, w, h = values[0] * width, values[1] * height, values[2] * width, values[3] * height
            entry["bbox"] = [x, y, w, h, 0.0] if self._rotated else [x - w / 2, y - h / 2, w, h]
        else:
            polygon = [v * (height if i % 2 else width) for i, v in enumerate(values)]
            if self._rotated:
                if len(polygon) != 8:
                    return Problem("no rotated box", f"a rotated box has 4 points, got {len(polygon) // 2}")
                entry["bbox"] = rotated_box(polygon)
            else:
                entry["bbox"] = bounds([polygon])
                entry["segmentation"] = [polygon]
        if points:
            entry["keypoints"] = _keypoints(points, size, width, height)
        return entry

    def _expected(self) -> str:
        """Return what a line holds, in words."""
        if self._files.keypoints:
            count = 5 + self._files.keypoint_numbers * len(self._files.keypoints)
            return f"{count} numbers (class, x, y, width, height, keypoints)"
        return "five numbers (class, x, y, width, height), or class and points of a polygon"

    def _class_problem(self, word: str) -> Problem | None:
        names = self._files.names
        known = ", ".join(f"{i} {printable(name)!r}" for i, name in enumerate(names[:8]))
        known += ", ..." if len(names) > 8 else ""
        try:
            number = float(word)
        except ValueError:
            near = f"; {word!r} is {names.index(word)}" if word in names else closest(word, names)
            return Problem(
                "class that is no number", f"a line begins with the number of a class, got {word!r}{near}"
            )
        if number != int(number) if math.isfinite(number) else True:
            return Problem(
                "class that is no number", f"a line begins with the number of a class, got {word!r}"
            )
        if not 0 <= number < len(names):
            hint = "; do the numbers count from 1?" if number == len(names) else ""
            return Problem(
                "unknown class", f"class {int(number)} is none of the {len(names)} ({known}){hint}"
            )
        return None

    def _look_for_images(self, folders: dict[Path, set[Path]]) -> None:
        """Log the files of labels to which there is no image."""
        for folder in sorted(folders):
            if not folder.is_dir():
                continue
            images = ImageIndex(sorted(folders[folder]))
            for name in sorted(os.listdir(folder)):
                if not name.endswith(".txt") or name.lower() in _NO_LABELS:
                    continue
                if not images.has_stem(name[:-4]):
                    problem = Problem("without image", f"there is no image of this name{images.near(name)}")
                    self._log.accept("label file", printable(folder / name), problem)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _entries(files: YoloFiles, split: str | None) -> list[Path]:
    if split is None:
        if len(files.splits) == 1:
            return next(iter(files.splits.values()))
        raise ValueError(f"{files.source} is split: give split, one of {', '.join(files.splits)}")
    if split in files.missing:
        raise FileNotFoundError(f"{files.source}: {split}: {files.missing[split]}")
    if split in files.splits:
        return files.splits[split]
    if list(files.splits) == [""]:
        raise ValueError(f"{files.source} is not split: give split=None, not {split!r}")
    raise ValueError(f"{files.source} has no split {split!r}; it has: {', '.join(files.splits)}")


def _common_root(images: Sequence[Path], base: Path) -> Path:
    """Return the folder that the names of the images start from: `base` if they are all below it."""
    if all(path.is_relative_to(base) for path in images):
        return base
    return Path(os.path.commonpath([os.path.abspath(path.parent) for path in images]))


def _count_problem(count: int) -> Problem:
    if count == 5:
        return Problem(
            "wrong number of values",
            "it has 5 numbers after the class, a box has 4: is the last one a score, of predictions?",
        )
    if count > 5:
        return Problem(
            "polygon of odd length", f"a polygon of {count} numbers, which is not even: x and y of each point"
        )
    return Problem(
        "wrong number of values",
        f"it has {count} numbers after the class; a box has 4, a polygon 6 or more",
    )


def _keypoints(values: list[float], size: int, width: int, height: int) -> list[float]:
    """Return [x, y, visibility, ...] as pixel indices, as in COCO's files."""
    result: list[float] = []
    for i in range(0, len(values), size):
        x, y = values[i], values[i + 1]
        seen = values[i + 2] if size == 3 else (2.0 if (x, y) != (0, 0) else 0.0)
        result += [x * width - 0.5, y * height - 0.5, seen] if seen > 0 else [0.0, 0.0, 0.0]
    return result
