"""Folders of masks of single objects: an image of their numbers, or a file for each of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lazycfg.structures.rle import encode_crop
from lazycfg.utils import printable

from ...image import ImageError, read_array, read_image_size
from ..annotated import WHERE, AnnotatedImages
from ..coco_validation import Problem
from ..contours import mask_to_polygons
from ..image_files import ImageIndex, is_image_name, list_images
from ..label_maps import refuse_jpeg
from .classes import ClassNames
from .polygons import bounds

_ENDINGS = re.compile(r"[-_ ]?(masks?|labels?|gt|instances?|instanceids?|segmentation)$", re.IGNORECASE)
_NUMBER = re.compile(r"[-_ ]*\d+$")


class InstanceMaskDataset(AnnotatedImages):
    """Images and their objects' masks, from a folder of PNG files.

    The masks of ``a.jpg`` are either one file ``a.png`` (or ``a_mask.png``, ``a_instances.png``, ...) in
    which each value other than 0, or each colour other than black, is an object; or a folder ``a`` with a
    file for each object. Boxes are those around the masks. All files are read when the data set is made.

    Args:
        image_root, mask_root: folders of images and of masks.
        class_names: of the classes. More than one need a way to tell them: with files of single objects it is
            the name of the file before its number (``cat_1.png``); with one file of all objects it is
            `label_divisor`.
        label_divisor: a value is the class, counted from 1, times this plus the number of the object, as in
            ``1003`` with 1000; None: a value is just the number of an object.
        separate: objects are the regions that are not connected, for masks that have one value for all.
        name: for logs and reports; the name of `image_root` when None.
        on_error: "raise" at the first file that cannot be right, or "skip" those and count them in
            `problems`.

    Attributes:
        metadata, problems, faults, warnings, summary, image_sizes: see `AnnotatedImages`.

    Raises:
        FileNotFoundError: a folder, or images in it, are missing.
        AnnotationError: an image without masks, a mask of another size; the message names the file.
    """

    validated = True

    def __init__(
        self,
        *,
        image_root: str | os.PathLike[str],
        mask_root: str | os.PathLike[str],
        class_names: Sequence[str] = ("object",),
        label_divisor: int | None = None,
        separate: bool = False,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
    ) -> None:
        self._images, self._mask_root = Path(image_root), Path(mask_root)
        for folder, what in ((self._images, "image_root"), (self._mask_root, "mask_root")):
            if not folder.is_dir():
                raise FileNotFoundError(f"no folder {str(folder)!r} ({what})")
        if label_divisor is not None and label_divisor < 2:
            raise ValueError(f"InstanceMaskDataset: label_divisor must be 2 or more, got {label_divisor!r}")
        self._names = tuple(class_names)
        self._classes = ClassNames(class_names, "class_names")
        self._divisor, self._separate = label_divisor, separate
        super().__init__(
            str(mask_root),
            image_root=image_root,
            name=name or self._images.resolve().name,
            on_error=on_error,
        )

    def read_file(self) -> dict[str, Any]:
        """Return the annotations in COCO's layout.

        Raises:
            FileNotFoundError: there are no images.
        """
        paths = list_images(self._images)
        if self._mask_root.is_relative_to(self._images):
            paths = [path for path in paths if not path.is_relative_to(self._mask_root)]
        if not paths:
            raise FileNotFoundError(f"there are no images below {str(self._images)!r}")
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for path in paths:
            name = os.path.relpath(path, self._images)
            masks = self._masks_of(Path(name))
            try:
                size = read_image_size(path)
            except ImageError as error:
                self._log.accept("image", printable(name), Problem("unreadable", str(error)))
                continue
            if masks is None:
                text = f"there is no mask {self._mask_root / Path(name).with_suffix('.png')}"
                self._log.accept("image", printable(name), Problem("without mask", text + self._near(name)))
                continue
            images.append(
                {"id": Path(name).as_posix(), "file_name": name, "height": size[0], "width": size[1]}
            )
            for where, found in self._objects(masks, size):
                if isinstance(found, Problem):
                    self._log.accept("mask", where, found)
                else:
                    annotations.append({**found, "image_id": images[-1]["id"], WHERE: where, "iscrowd": 0})
        return self._classes.coco(images, annotations, self._log)

    def _masks_of(self, name: Path) -> Path | None:
        """Return the file or the folder of masks of an image."""
        folder = self._mask_root / name.parent
        if (folder / name.stem).is_dir():
            return folder / name.stem
        if not folder.is_dir():
            return None
        for file in (folder / f"{name.stem}.png", folder / f"{name.stem}_mask.png"):
            if file.is_file():
                return file
        files = [file for file in sorted(folder.iterdir()) if is_image_name(file.name)]
        return next((file for file in files if _ENDINGS.sub("", file.stem) == name.stem), None)

    def _near(self, name: str) -> str:
        return ImageIndex([self._mask_root / Path(name).parent]).near(Path(name).with_suffix(".png").name)

    def _objects(self, masks: Path, size: tuple[int, int]) -> Iterator[tuple[str, dict[str, Any] | Problem]]:
        """Yield words for, and the entry of "annotations" of, each object of an image."""
        for file in sorted(masks.iterdir()) if masks.is_dir() else [masks]:
            if not is_image_name(file.name):
                continue
            where = printable(os.path.relpath(file, self._mask_root))
            try:
                refuse_jpeg(file, "mask")
                values = _numbers(read_array(file, what="mask"))
            except ImageError as error:
                yield where, Problem("unreadable", str(error))
                continue
            if values.shape != size:
                text = f"it is {values.shape[1]}x{values.shape[0]} (width x height), its image "
                yield where, Problem("another size", f"{text}{size[1]}x{size[0]}")
                continue
            if masks.is_dir():
                yield from self._named(where, self._name_of_file(file), values > 0)
                continue
            for value in np.unique(values[values > 0]).tolist():
                yield from self._named(f"{where}: value {value}", self._name_of_value(value), values == value)

    def _name_of_file(self, file: Path) -> str:
        return self._names[0] if len(self._names) == 1 else _NUMBER.sub("", file.stem)

    def _name_of_value(self, value: int) -> str | Problem:
        number = 1 if self._divisor is None else value // self._divisor
        if not 1 <= number <= len(self._names):
            return Problem(
                "unknown class",
                f"value {value} is of class {number}; there are {len(self._names)}, counted from 1 "
                f"(label_divisor {self._divisor})",
            )
        if self._divisor is None and len(self._names) > 1:
            return Problem("unknown class", "a value does not tell the class: give label_divisor")
        return self._names[number - 1]

    def _named(
        self, where: str, name: str | Problem, mask: np.ndarray
    ) -> Iterator[tuple[str, dict[str, Any] | Problem]]:
        if isinstance(name, Problem):
            yield where, name
        elif not mask.any():
            yield where, Problem("empty mask", "its mask has no pixels")
        elif self._separate:
            for ring in mask_to_polygons(mask):
                polygon = ring.ravel().tolist()
                problem = self._classes.problem(name)
                entry = {"category_id": name, "bbox": bounds([polygon]), "segmentation": [polygon]}
                yield where, problem or entry
        else:
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            y0, x0, y1, x1 = int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
            rle = encode_crop(mask[y0:y1, x0:x1], y0, x0, mask.shape)
            entry = {
                "category_id": name,
                "bbox": [float(v) for v in (x0, y0, x1 - x0, y1 - y0)],
                "segmentation": rle,
            }
            yield where, self._classes.problem(name) or entry


def _numbers(values: np.ndarray) -> np.ndarray:
    """Return one number for each pixel (H, W), of the colour where it has one; transparency is dropped."""
    if values.ndim == 2:
        return values.astype(np.int64)
    if values.shape[2] == 2:
        return values[..., 0].astype(np.int64)
    red, green, blue = (values[..., channel].astype(np.int64) for channel in range(3))
    return red if (red == green).all() and (green == blue).all() else red + 256 * green + 65536 * blue
