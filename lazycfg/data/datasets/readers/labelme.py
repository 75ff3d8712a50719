"""labelme: a JSON file beside each image."""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from lazycfg.structures.rle import encode_crop, encode_mask
from lazycfg.utils import printable

from ...image import ImageError, open_image, read_image_size
from ..annotated import WHERE, AnnotatedImages
from ..coco_validation import AnnotationError, Problem, is_number
from ..image_files import ImageIndex, locate, read_text
from ..plausibility import mask_extent
from .classes import ClassNames
from .polygons import bounds, circle

_NO_AREA = ("point", "points", "line", "linestrip")


class LabelMeDataset(AnnotatedImages):
    """Images with polygons, rectangles, circles and masks from JSON files of labelme.

    Shapes of one label and one "group_id" are the parts of one object. Points and lines have no area: they
    are no objects, and are told as faults. The pixels of the images are read from their files and not from
    "imageData"; paths of another machine are looked for beside the JSON file.

    Args:
        root: folder of the JSON files, which may lie in folders below it.
        class_names: of the classes, in their order; None: those that are found, by the alphabet.
        name: for logs and reports; the name of the folder when None.
        on_error: "raise" at the first file or shape that cannot be right, or "skip" those and count them in
            `problems`.
        verify_images: see `AnnotatedImages`.
        ignore_keys, ignore_categories: see `AnnotatedImages`.

    Attributes:
        metadata, problems, faults, warnings, summary, image_sizes: see `AnnotatedImages`.

    Raises:
        FileNotFoundError: the folder, or JSON files in it, are missing.
        AnnotationError: a shape that cannot be right; the message names file, shape and reason.
    """

    validated = True

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        class_names: Sequence[str] | None = None,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        verify_images: bool | None = None,
        ignore_keys: Sequence[str] = (),
        ignore_categories: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise FileNotFoundError(f"no folder {str(root)!r} of labelme's files (root)")
        self._classes = ClassNames(class_names, "class_names")
        super().__init__(
            str(root),
            image_root=root,
            name=name or self.root.resolve().name,
            on_error=on_error,
            verify_images=verify_images,
            ignore_keys=ignore_keys,
            ignore_categories=ignore_categories,
        )

    def further_warnings(self) -> list[str]:
        """Return further warnings about the data set as a whole."""
        return self._classes.warnings()

    def read_file(self) -> dict[str, Any]:
        """Return the annotations in COCO's layout.

        Raises:
            FileNotFoundError: there are no files of labelme.
        """
        files = sorted(path for path in self.root.rglob("*") if path.suffix.lower() == ".json")
        if not files:
            raise FileNotFoundError(f"no JSON files of labelme below {str(self.root)!r}")
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        indices: dict[Path, ImageIndex] = {}
        for path in files:
            where = printable(os.path.relpath(path, self.root))
            try:
                content = read_labelme(path)
            except AnnotationError as error:
                self._log.accept("file", where, Problem("no file of labelme", str(error)))
                continue
            if path.parent not in indices:
                beside = (path.parent, path.parent.parent / "images", self.root / "images")
                indices[path.parent] = ImageIndex(dict.fromkeys(beside))
            image = self._image(path, content, indices[path.parent])
            if isinstance(image, Problem):
                self._log.accept("image", where, image)
                continue
            images.append(image)
            annotations += self._objects(content["shapes"], image, where)
        return self._classes.coco(images, annotations, self._log)

    def _image(self, path: Path, content: dict[str, Any], index: ImageIndex) -> dict[str, Any] | Problem:
        written = content.get("imagePath")
        image = locate(path.parent, written) if isinstance(written, str) and written else None
        image = image if image is not None and image.is_file() else index.find_stem(path.stem)
        width, height = content.get("imageWidth"), content.get("imageHeight")
        if image is None and content.get("imageData"):
            return Problem(
                "the file is missing",
                f"there is no image {printable(written)!r}, only the copy in imageData: write that to a file",
            )
        if not (is_number(width) and is_number(height)):
            if image is None:
                return Problem(
                    "the file is missing", f"there is no image {written!r}{index.near(str(written))}"
                )
            try:
                height, width = read_image_size(image)
            except ImageError as error:
                return Problem("unreadable", str(error))
        file = image if image is not None else path.parent / str(written).replace("\\", "/")
        name = os.path.relpath(file, self.root)
        return {"id": Path(name).as_posix(), "file_name": name, "width": width, "height": height}

    def _objects(self, shapes: list[Any], image: dict[str, Any], where: str) -> list[dict[str, Any]]:
        objects: dict[Any, dict[str, Any]] = {}
        for number, shape in enumerate(shapes):
            here = f"{where}: shapes[{number}]"
            if isinstance(shape, dict) and isinstance(shape.get("label"), str):
                here += f" ({printable(shape['label'])!r})"
            found = self._shape(shape, image)
            if isinstance(found, Problem):
                self._log.accept("annotation", here, found)
                continue
            group = shape.get("group_id")
            key = (
                number
                if group is None or isinstance(found["segmentation"], dict)
                else (shape["label"], str(group))
            )
            if key in objects:
                polygons = [*objects[key]["segmentation"], *found["segmentation"]]
                objects[key].update(segmentation=polygons, bbox=bounds(polygons))
            else:
                objects[key] = {**found, "image_id": image["id"], WHERE: here, "iscrowd": 0}
        return list(objects.values())

    def _shape(self, shape: Any, image: dict[str, Any]) -> dict[str, Any] | Problem:
        """Return a shape as an entry of "annotations", or what is wrong with it."""
        if not isinstance(shape, dict):
            return Problem("no dict", f"it is a {type(shape).__name__}, not a dict")
        kind = shape.get("shape_type") or "polygon"
        points = shape.get("points")
        if (
            not isinstance(points, list)
            or not points
            or not all(isinstance(p, list) and len(p) == 2 and all(map(is_number, p)) for p in points)
        ):
            return Problem("malformed points", "points must be a list of [x, y], both finite numbers")
        if kind in _NO_AREA:
            return Problem(
                "shape without area", f"a {kind} has no area; objects are polygons, rectangles, ..."
            )
        problem = self._classes.problem(shape.get("label"))
        if problem is not None:
            return problem
        if kind == "mask":
            return _mask(shape, points, image)
        flat = [float(v) for point in points for v in point]
        if kind == "polygon":
            if len(points) < 3:
                return Problem("polygon of fewer than 3 points", f"a polygon of {len(points)} points")
        elif kind == "rectangle" and len(points) == 2:
            (x0, y0), (x1, y1) = points
            flat = [x0, y0, x1, y0, x1, y1, x0, y1]
        elif kind == "circle" and len(points) == 2:
            flat = circle(*flat[:2], math.dist(*points))
        elif not (kind in ("rectangle", "oriented_rectangle") and len(points) == 4):
            return Problem("unknown shape", f"a {printable(kind)} of {len(points)} points is not read")
        return {"category_id": shape["label"], "bbox": bounds([flat]), "segmentation": [flat]}


def read_labelme(path: Path) -> dict[str, Any]:
    """Return the contents of a file of labelme.

    Raises:
        AnnotationError: it is none.
    """
    try:
        content = json.loads(read_text(path, "file"))
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"it is not JSON: {printable(error)}") from None
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise AnnotationError("it is no file of labelme, which has a list 'shapes'")
    return content


def _mask(shape: dict[str, Any], points: list[Any], image: dict[str, Any]) -> dict[str, Any] | Problem:
    """Return a mask, a PNG file in text whose upper left corner is the first of two points."""
    try:
        data = base64.b64decode(shape.get("mask") or "", validate=True)
        picture: Image.Image = open_image(io.BytesIO(data))
        crop = np.asarray(picture.convert("L")) > 0
    except (ImageError, binascii.Error, OSError, TypeError, ValueError) as error:
        return Problem("malformed mask", f"its mask is no PNG in base64: {error}")
    x, y = round(points[0][0]), round(points[0][1])
    height, width = int(image["height"]), int(image["width"])
    if not (min(x, y) >= 0 and x + crop.shape[1] <= width and y + crop.shape[0] <= height):
        size = f"{crop.shape[1]}x{crop.shape[0]}"
        return Problem(
            "mask outside the image", f"its mask of {size} at ({x}, {y}) reaches beyond {width}x{height}"
        )
    if not crop.any():
        return Problem("empty mask", "its mask has no pixels")
    rle = encode_crop(crop, y, x, (height, width)) if crop.shape != (height, width) else encode_mask(crop)
    x0, y0, x1, y1 = mask_extent(rle) or (0, 0, 0, 0)
    return {"category_id": shape["label"], "bbox": [x0, y0, x1 - x0, y1 - y0], "segmentation": rle}
