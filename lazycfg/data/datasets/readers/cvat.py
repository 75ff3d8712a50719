"""CVAT: one XML file for all images ("CVAT for images 1.1"), or for all frames ("CVAT for video 1.1")."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from xml.etree.ElementTree import Element

import numpy as np

from lazycfg.structures.rle import encode_crop
from lazycfg.utils import printable

from ..annotated import WHERE, AnnotatedImages
from ..coco_files import find_image_root
from ..coco_validation import AnnotationError, Problem
from .classes import ClassNames
from .cvat_tracks import frames_of
from .polygons import bounds, corners_of
from .xml_files import read_xml

_SHAPES = ("box", "polygon", "mask", "ellipse")
_NO_AREA = ("points", "polyline", "cuboid", "skeleton")


class CVATDataset(AnnotatedImages):
    """Images with boxes, polygons, ellipses and masks from an XML file of CVAT.

    It is the export "CVAT for images 1.1" or "CVAT for video 1.1"; of a video, the frames are images, named
    as CVAT does (``frame_000012.png``) or in any way that ends in their number. For its exports in COCO's
    layout see `CocoDataset`. Shapes of one label and one "group_id" (other than 0) of an image are the parts
    of one object if they are polygons.
    Points, lines, cuboids and skeletons are no objects here and are told as faults. The classes are the
    labels of the task, in its order. Annotations have "occluded", 0 or 1.

    Args:
        xml_file: ``annotations.xml``.
        image_root: folder the names of images start from; None: looked for near the file, see
            `candidate_roots`.
        rotated: boxes get five numbers. Else a rotated box becomes the one around it, and its corners a
            polygon.
        name: for logs and reports; the name of the folder when None.
        on_error: "raise" at the first image or shape that cannot be right, or "skip" those and count them in
            `problems`.
        verify_images: see `AnnotatedImages`.
        ignore_keys, ignore_categories: see `AnnotatedImages`.

    Attributes:
        metadata, problems, faults, warnings, summary, image_sizes: see `AnnotatedImages`.

    Raises:
        FileNotFoundError: the file or images are missing.
        AnnotationError: a shape that cannot be right; the message names image, shape and reason.
    """

    validated = True

    def __init__(
        self,
        *,
        xml_file: str | os.PathLike[str],
        image_root: str | os.PathLike[str] | None = None,
        rotated: bool = False,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        verify_images: bool | None = None,
        ignore_keys: Sequence[str] = (),
        ignore_categories: Sequence[str] = (),
    ) -> None:
        self.xml_file = Path(xml_file)
        self._rotated = rotated
        self._image_root = None if image_root is None else Path(image_root)
        if not self.xml_file.is_file():
            raise FileNotFoundError(f"no file {str(xml_file)!r} of CVAT (xml_file)")
        super().__init__(
            str(xml_file),
            image_root=image_root,
            name=name or self.xml_file.resolve().parent.name,
            on_error=on_error,
            verify_images=verify_images,
            extra_annotation_keys=("occluded",),
            ignore_keys=ignore_keys,
            ignore_categories=ignore_categories,
        )

    def find_root(self, names: Sequence[str], verify_images: bool | None) -> str:
        """Return the folder that file names are relative to, if none was given."""
        try:
            return str(find_image_root(self.xml_file, names))
        except FileNotFoundError:
            if verify_images is False:
                return str(self.xml_file.parent)
            raise

    def read_file(self) -> dict[str, Any]:
        """Return the annotations in COCO's layout.

        Raises:
            AnnotationError: the file is none of CVAT's, or its tracks cannot be read.
        """
        root = read_xml(self.xml_file)
        if root.tag != "annotations":
            raise AnnotationError(
                f"{self.xml_file}: its root is <{root.tag}>, expected <annotations> of CVAT"
            )
        frames, gaps = list(root.iter("image")), []
        if root.find("track") is not None:
            frames, gaps = frames_of(root, self.xml_file, self._image_root)
        for where, problem in gaps:
            self._log.accept("annotation", where, problem)
        labels = [
            text
            for label in root.iterfind("meta//labels/label")
            if (text := label.findtext("name")) and not label.findtext("parent")  # else a point of a skeleton
        ]
        classes = ClassNames(tuple(dict.fromkeys(labels)) or None, "the labels of the task")
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for element in frames:
            name = element.get("name", "")
            image = {
                "id": name,
                "file_name": name,
                "width": _number(element.get("width")),
                "height": _number(element.get("height")),
            }
            images.append(image)
            annotations += self._objects(element, image, classes)
        return classes.coco(images, annotations, self._log)

    def _objects(self, element: Element, image: dict[str, Any], classes: ClassNames) -> list[dict[str, Any]]:
        objects: dict[Any, dict[str, Any]] = {}
        for number, shape in enumerate(element):
            if shape.tag not in _SHAPES + _NO_AREA:
                continue  # <tag>s, of the image as a whole
            label = shape.get("label")
            here = f"{printable(image['file_name'])}: {shape.tag} {number + 1} ({printable(label)!r})"
            problem = classes.problem(label) if shape.tag in _SHAPES else None
            found = problem or self._shape(shape, image)
            if isinstance(found, Problem):
                self._log.accept("annotation", here, found)
                continue
            group = shape.get("group_id", "0")
            key = (label, group) if group != "0" and shape.tag == "polygon" else number
            if key in objects:
                polygons = [*objects[key]["segmentation"], *found["segmentation"]]
                objects[key].update(segmentation=polygons, bbox=bounds(polygons))
            else:
                objects[key] = {
                    "category_id": label,
                    **found,
                    "image_id": image["id"],
                    WHERE: here,
                    "iscrowd": 0,
                }
                if shape.get("occluded") in ("0", "1"):
                    objects[key]["occluded"] = int(shape.get("occluded", "0"))
        return list(objects.values())

    def _shape(self, shape: Element, image: dict[str, Any]) -> dict[str, Any] | Problem:
        """Return a shape as box and mask of an entry of "annotations", or what is wrong with it."""
        if shape.tag in _NO_AREA:
            return Problem("shape without area", f"<{shape.tag}> is no object with an area")
        if shape.tag == "box":
            return self._box(shape)
        if shape.tag == "mask":
            return _mask(shape, image)
        if shape.tag == "ellipse":
            values = [_number(shape.get(key)) for key in ("cx", "cy", "rx", "ry")]
            if None in values:
                return Problem("malformed ellipse", "cx, cy, rx and ry must be numbers")
            return _ellipse(*(v for v in values if v is not None), -(_number(shape.get("rotation")) or 0.0))
        try:
            pairs = [
                tuple(map(float, pair.split(","))) for pair in shape.get("points", "").split(";") if pair
            ]
        except ValueError as error:
            return Problem("polygon that is not numbers", f"points: {error}")
        if not all(len(pair) == 2 and all(map(math.isfinite, pair)) for pair in pairs):
            return Problem(
                "polygon of odd length", "points must be x,y;x,y;...: one of them is no pair of numbers"
            )
        if len(pairs) < 3:
            return Problem("polygon of fewer than 3 points", f"a polygon of {len(pairs)} points")
        polygon = [v for pair in pairs for v in pair]
        return {"bbox": bounds([polygon]), "segmentation": [polygon]}

    def _box(self, shape: Element) -> dict[str, Any] | Problem:
        values = [_number(shape.get(key)) for key in ("xtl", "ytl", "xbr", "ybr")]
        if None in values:
            return Problem("malformed box", "xtl, ytl, xbr and ybr must be numbers")
        x0, y0, x1, y1 = (v for v in values if v is not None)
        angle = -(_number(shape.get("rotation")) or 0.0)  # CVAT turns clockwise
        box = [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, angle]
        if self._rotated:
            return {"bbox": box}
        if angle == 0:
            return {"bbox": [x0, y0, x1 - x0, y1 - y0]}
        corners = corners_of(box)
        return {"bbox": bounds([corners]), "segmentation": [corners]}


def _mask(shape: Element, image: dict[str, Any]) -> dict[str, Any] | Problem:
    """Return a mask, whose run lengths go along the rows of a window, outside first."""
    left, top, width, height = (_number(shape.get(key)) for key in ("left", "top", "width", "height"))
    try:
        runs = [int(text) for text in shape.get("rle", "").split(",") if text.strip()]
    except ValueError as error:
        return Problem("malformed RLE", f"rle: {error}")
    if left is None or top is None or not width or not height or not runs or min(runs) < 0:
        return Problem("malformed RLE", "it needs left, top, width, height and rle, run lengths")
    if sum(runs) != width * height:
        return Problem(
            "RLE of another size", f"its run lengths have {sum(runs)} pixels, its window {width * height:g}"
        )
    size = image["height"], image["width"]
    if None in size or not (min(left, top) >= 0 and left + width <= size[1] and top + height <= size[0]):
        return Problem("mask outside the image", "its window reaches beyond the image")
    flags = np.arange(len(runs)) % 2 == 1
    crop = np.repeat(flags, runs).reshape(int(height), int(width))
    if not crop.any():
        return Problem("empty mask", "its mask has no pixels")
    rows, columns = np.flatnonzero(crop.any(axis=1)), np.flatnonzero(crop.any(axis=0))
    box = [left + columns[0], top + rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]]
    rle = encode_crop(crop, int(top), int(left), (int(size[0]), int(size[1])))
    return {"bbox": [float(v) for v in box], "segmentation": rle}


def _ellipse(x: float, y: float, a: float, b: float, angle: float) -> dict[str, Any]:
    angles = np.arange(64) * (2 * math.pi / 64)
    u, v = a * np.cos(angles), b * np.sin(angles)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    points = np.stack((x + u * cos + v * sin, y - u * sin + v * cos), axis=1).ravel().tolist()
    return {"bbox": bounds([points]), "segmentation": [points]}


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
