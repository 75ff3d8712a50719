"""Tables of boxes as CSV files: those of OpenImages, and those that TensorFlow and RetinaNet tools write."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lazycfg.utils import closest, printable

from ...image import ImageError, read_image_size
from ..annotated import WHERE, AnnotatedImages
from ..coco_files import find_image_root
from ..coco_validation import AnnotationError, Problem
from ..image_files import ImageIndex, locate, read_text
from .classes import ClassNames

_FLAGS = {"IsOccluded": "occluded", "IsTruncated": "truncated"}


@dataclass(frozen=True)
class _Columns:
    """Names of the columns: of the image, of the class, of x0, y0, x1, y1."""

    image: str
    label: str
    corners: tuple[str, str, str, str]
    relative: bool = False
    size: tuple[str, str] | None = None


_LAYOUTS = (
    _Columns("ImageID", "LabelName", ("XMin", "YMin", "XMax", "YMax"), relative=True),
    _Columns("filename", "class", ("xmin", "ymin", "xmax", "ymax"), size=("width", "height")),
    _Columns("image", "label", ("xmin", "ymin", "xmax", "ymax")),
)
_BARE = _Columns("image", "label", ("x0", "y0", "x1", "y1"))  # image,x0,y0,x1,y1,label without a head


class BoxCSVDataset(AnnotatedImages):
    """Images and boxes from a CSV table with one row per box.

    Three layouts are known by the first line: OpenImages (``ImageID, LabelName, XMin, ...``, parts of the
    image; "IsGroupOf" is a crowd; images are found as ``<ImageID>.jpg``), ``filename, width, height, class,
    xmin, ymin, xmax, ymax`` in pixels, and rows ``path,x0,y0,x1,y1,class`` without a head, in which an image
    without objects has empty fields. Sizes are read from the images, which must be there.

    Args:
        csv_file: the table.
        image_root: folder the images are in; None: looked for near the file, see `candidate_roots`.
        class_names: of the classes, in their order, or a file of two columns, the label of the table and its
            name (``class-descriptions-boxable.csv``); None: those that are found, by the alphabet.
        all_images: images of `image_root` that the table does not name are images without objects; else they
            are not part of the data set.
        name: for logs and reports; the stem of the file when None.
        on_error: "raise" at the first row that cannot be right, or "skip" those and count them in `problems`.
        ignore_categories: names of classes that are left out, with their boxes.

    Attributes:
        metadata, problems, faults, warnings, summary, image_sizes: see `AnnotatedImages`.

    Raises:
        FileNotFoundError: the table or the images are missing.
        AnnotationError: a row that cannot be right; the message names file, line and reason.
    """

    validated = True

    def __init__(
        self,
        *,
        csv_file: str | os.PathLike[str],
        image_root: str | os.PathLike[str] | None = None,
        class_names: Sequence[str] | str | os.PathLike[str] | None = None,
        all_images: bool = False,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        ignore_categories: Sequence[str] = (),
    ) -> None:
        self.csv_file = Path(csv_file)
        if not self.csv_file.is_file():
            raise FileNotFoundError(f"no file {str(csv_file)!r} (csv_file)")
        self._labels: dict[str, str] | None = None
        if isinstance(class_names, str | os.PathLike):
            rows = [row for _, row in _rows(Path(class_names)) if len(row) == 2]
            self._labels = {label.strip(): name.strip() for label, name in rows}
            class_names = tuple(dict.fromkeys(self._labels.values()))
        self._classes = ClassNames(class_names, "class_names")
        self._all_images = all_images
        self._root: Path | None = None if image_root is None else Path(image_root)
        super().__init__(
            str(csv_file),
            image_root=image_root,
            name=name or self.csv_file.stem,
            on_error=on_error,
            extra_annotation_keys=tuple(_FLAGS.values()),
            ignore_categories=ignore_categories,
        )

    def find_root(self, names: Sequence[str], verify_images: bool | None) -> str:
        """Return the folder that file names are relative to, if none was given."""
        return str(self._root)

    def further_warnings(self) -> list[str]:
        """Return further warnings about the data set as a whole."""
        return self._classes.warnings()

    def read_file(self) -> dict[str, Any]:
        """Return the annotations in COCO's layout."""
        columns, rows = _read(self.csv_file)
        names = dict.fromkeys(row[columns.image].strip() for _, row in rows if row.get(columns.image))
        if self._root is None:
            files = [f"{name}.jpg" for name in names] if columns.relative else list(names)
            self._root = find_image_root(self.csv_file, files)
        index = ImageIndex([self._root])
        if self._all_images:
            names |= dict.fromkeys(path.stem if columns.relative else path.name for path in index.paths)
        images: dict[str, dict[str, Any]] = {}
        for name in names:
            image = self._image(name, index, columns.relative)
            if isinstance(image, Problem):
                self._log.accept("image", printable(name), image)
            else:
                images[name] = image
        annotations = []
        for number, row in rows:
            name = (row.get(columns.image) or "").strip()
            where = f"{printable(self.csv_file)}:{number}"
            if name and name not in images:
                continue  # told above
            found = self._object(row, columns, images[name]) if name else _no_image()
            if isinstance(found, Problem):
                self._log.accept("annotation", where, found)
            elif found is not None:
                annotations.append({**found, "image_id": images[name]["id"], WHERE: where})
        return self._classes.coco(list(images.values()), annotations, self._log)

    def _image(self, name: str, index: ImageIndex, by_stem: bool) -> dict[str, Any] | Problem:
        root = self._root or Path()
        path = index.find_stem(name) if by_stem else locate(root, name) or index.find(Path(name).name)
        if path is None or not path.is_file():
            return Problem("the file is missing", f"there is no image {name!r} in {root}{index.near(name)}")
        try:
            height, width = read_image_size(path)
        except ImageError as error:
            return Problem("unreadable", str(error))
        return {"id": name, "file_name": os.path.relpath(path, root), "height": height, "width": width}

    def _object(
        self, row: Mapping[str, str], columns: _Columns, image: Mapping[str, Any]
    ) -> dict[str, Any] | Problem | None:
        """Return a row as an entry of "annotations"; None for an image without objects."""
        texts = [(row.get(key) or "").strip() for key in columns.corners]
        label = (row.get(columns.label) or "").strip()
        if not any(texts) and not label:
            return None
        if self._labels is not None:
            if label not in self._labels:
                near = closest(label, self._labels)
                return Problem("unknown class", f"label {label!r} is not in the file of class_names{near}")
            label = self._labels[label]
        problem = self._classes.problem(label)
        if problem is not None:
            return problem
        try:
            x0, y0, x1, y1 = map(float, texts)
        except ValueError:
            return Problem("malformed box", f"{', '.join(columns.corners)} must be numbers, got {texts}")
        if columns.relative:
            if not all(-0.01 <= v <= 1.01 for v in (x0, y0, x1, y1)):
                return Problem("coordinates outside 0 to 1", f"coordinates must be 0 to 1, got {texts}")
            x0, x1, y0, y1 = (v * image[k] for v, k in zip((x0, x1, y0, y1), _SIDES, strict=True))
        elif columns.size is not None:
            said = [(row.get(key) or "").strip() for key in columns.size]
            if all(said) and said != [str(image["width"]), str(image["height"])]:
                return Problem(
                    "another size",
                    f"the row says {'x'.join(said)}, the image is {image['width']}x{image['height']}",
                )
        if x1 < x0 or y1 < y0:
            return Problem("corners exchanged", f"corners {texts}: the first is beyond the second")
        entry: dict[str, Any] = {
            "category_id": label,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "iscrowd": int(row.get("IsGroupOf") == "1"),
        }
        entry |= {key: int(row[column]) for column, key in _FLAGS.items() if row.get(column) in ("0", "1")}
        return entry


_SIDES = ("width", "width", "height", "height")


def _no_image() -> Problem:
    return Problem("without image", "it names no image")


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return the number of the line, and the fields, of each row that is not empty."""
    reader = csv.reader(io.StringIO(read_text(path, "table"), newline=""))
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise AnnotationError(f"{path}:{reader.line_num} is no row of a table: {printable(error)}") from None


def _read(path: Path) -> tuple[_Columns, list[tuple[int, dict[str, str]]]]:
    """Return the layout of a table, and the number of the line and the fields of each row."""
    rows = _rows(path)
    if not rows:
        raise AnnotationError(f"{path} is empty")
    head = [field.strip() for field in rows[0][1]]
    for columns in _LAYOUTS:
        if {columns.image, columns.label, *columns.corners} <= set(head):
            return columns, [(number, dict(zip(head, row, strict=False))) for number, row in rows[1:]]
    if len(head) != 6 or (any(head[1:5]) and not all(map(_is_number_text, head[1:5]))):
        known = "; ".join(", ".join((c.image, c.label, *c.corners)) for c in _LAYOUTS)
        raise AnnotationError(f"{path}: its columns {printable(head)} are not known; known are: {known}")
    keys = (_BARE.image, *_BARE.corners, _BARE.label)
    return _BARE, [(number, dict(zip(keys, row, strict=False))) for number, row in rows]


def _is_number_text(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
