"""Signs that the annotations of a whole dataset are not what they are taken for, or are there twice."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lazycfg.structures import BoxMode
from lazycfg.structures.rle import rle_runs
from lazycfg.utils import counted, printable

from .base import Record, describe

Box = tuple[float, float, float, float]

_MASKS_READ = 5000  # all of the first so many masks are compared with their boxes, then one of 50


class Plausibility:
    """Collects counts over the instances of a dataset, one record after another."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, str] = {}

    def add(self, record: Record, index: int) -> None:
        """Look at the instances of a record (crowd regions are left out)."""
        height, width = record.get("height"), record.get("width")
        seen: dict[Any, list[Mapping[str, Any]]] = {}
        for annotation in record.get("annotations", ()):
            if annotation.get("iscrowd", 0) or annotation.get("bbox") is None:
                continue
            key = (annotation.get("category_id"), *map(float, annotation["bbox"]))
            alike = seen.setdefault(key, [])
            signs = ["twice"] if any(is_same(annotation, other) for other in alike) else []
            alike.append(annotation)
            if height is not None and width is not None:
                signs += self._signs(annotation, width, height)
            self.counts.update(signs)
            for sign in signs:
                if sign not in self.first:
                    self.first[sign] = describe(record, index)

    def add_file_names(self, names: Iterable[Any]) -> None:
        """Look at the file names of all images of a dataset."""
        counts = Counter(name for name in names if name is not None)
        for name, count in counts.items():
            if count > 1:
                self.counts["same file"] += 1
                self.first.setdefault("same file", printable(name))

    def warnings(self) -> list[str]:
        """Return sentences about what looks wrong; none for plausible annotations."""
        c, first = self.counts, self.first
        boxes, masks = c["box"], c["mask"]
        result = []
        if c["same file"]:
            result.append(
                f"listed as two images or more: {counted(c['same file'], 'file')} (first: "
                f"{first['same file']}); each of these images lacks the objects of the others"
            )
        if c["twice"]:
            result.append(
                f"annotated twice, with the same class, box and mask: {counted(c['twice'], 'object')} "
                f"(first: {first['twice']}); an evaluation counts one of the two as missed"
            )
        if boxes and c["normalised"] >= 0.9 * boxes:
            result.append(
                f"{c['normalised']} of {boxes} boxes lie within the first pixel of their image: are they "
                "relative (0 to 1)? Boxes are to be in pixels"
            )
        corners = boxes and c["corners"] == boxes and c["beyond"] >= 0.2 * boxes
        if corners or (masks and c["fits as corners"] >= 0.8 * masks and c["fits"] <= 0.2 * masks):
            count = f"{c['beyond']} of {boxes} boxes reach beyond their image"
            if not corners:
                count = f"{c['fits as corners']} of {masks} masks do not fit their boxes"
            result.append(
                f"{count} if read as [x, y, width, height], and not if read as corners [x0, y0, x1, y1]: are "
                "they corners?"
            )
        elif c["over"]:
            result.append(
                f"{c['over']} of {boxes} boxes reach over the border of their image and are trained as what "
                f"is inside it (first: {first['over']})"
            )
        if c["outside"] >= max(1, 0.01 * masks):
            by_rows = c["fits by rows"] >= 0.8 * c["outside"]
            result.append(
                f"{c['outside']} of {masks} masks lie outside their boxes (first: {first['outside']})"
                + ("; read row by row they fit: run lengths of COCO go down the columns" if by_rows else "")
            )
        if c["empty"]:
            result.append(
                f"masks without an area: {c['empty']} (first: {first['empty']}); a model learns no mask from "
                "such objects"
            )
        if c["area"] >= max(1, 0.01 * boxes) and not result:  # else it is the boxes that are wrong
            result.append(
                f"the area of {c['area']} of {boxes} objects is 0 or larger than their box (first: "
                f"{first['area']}): results by size (APs, APm, APl) go by it"
            )
        return result

    def _signs(self, annotation: Mapping[str, Any], width: float, height: float) -> list[str]:
        signs = ["box"]
        x, y, a, b = (float(v) for v in annotation["bbox"][:4])
        mode = annotation["bbox_mode"]
        box: Box = tuple(  # type: ignore[assignment]
            BoxMode.convert([float(v) for v in annotation["bbox"]], mode, BoxMode.XYXY_ABS)
        )
        if box[2] > width + max(2, 0.02 * width) or box[3] > height + max(2, 0.02 * height):
            signs.append("beyond")
        slack = max(2, 0.02 * width), max(2, 0.02 * height)
        if mode != BoxMode.XYWHA_ABS and (
            min(box[0] + slack[0], box[1] + slack[1]) < 0
            or box[2] > width + slack[0]
            or box[3] > height + slack[1]
        ):
            signs.append("over")
        if mode != BoxMode.XYWHA_ABS and max(box) <= 1 and min(width, height) > 2:
            signs.append("normalised")
        as_corners = (x, y, a, b)
        if mode == BoxMode.XYWH_ABS and x < a <= width + 1 and y < b <= height + 1:
            signs.append("corners")
        given, most = annotation.get("area"), abs(a * b) if mode != BoxMode.XYXY_ABS else _area(box)
        if given is not None and (given == 0 or given > 1.5 * most + 4):
            signs.append("area")
        segmentation = annotation.get("segmentation")
        if segmentation is None or len(segmentation) == 0 or mode == BoxMode.XYWHA_ABS:
            return signs
        self.counts["masks seen"] += 1
        seen = self.counts["masks seen"]
        if seen > _MASKS_READ and seen % 50:
            return signs
        extent = mask_extent(segmentation)
        if extent is None or extent[0] == extent[2] or extent[1] == extent[3]:
            return [*signs, "empty"]
        signs.append("mask")
        if _inside(extent, box) < 0.5:
            signs.append("outside")
            if isinstance(segmentation, Mapping):
                by_rows = mask_extent(segmentation, by_rows=True)
                if by_rows is not None and _overlap(by_rows, box) > 0.7:
                    signs.append("fits by rows")
        if _overlap(extent, box) > 0.8:
            signs.append("fits")
        elif mode == BoxMode.XYWH_ABS and _overlap(extent, as_corners) > 0.8:
            signs.append("fits as corners")
        return signs


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether annotations of one class and box have the same mask and keypoints, too."""
    # As bytes: lists of arrays cannot be compared by ==
    return all(
        pickle.dumps(one.get(key)) == pickle.dumps(other.get(key)) for key in ("segmentation", "keypoints")
    )


def mask_extent(segmentation: Any, by_rows: bool = False) -> Box | None:
    """Return the corners of the box around a mask; None for an empty mask.

    Args:
        segmentation: polygons, or run lengths (not decoded for this).
        by_rows: read run lengths along the rows instead of down the columns.
    """
    if not isinstance(segmentation, Mapping):
        points = np.concatenate([np.asarray(p, dtype=np.float64).reshape(-1, 2) for p in segmentation])
        return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
    height, width = (int(s) for s in segmentation["size"])
    length = width if by_rows else height
    bounds = np.cumsum(rle_runs(segmentation))
    bounds = bounds[: len(bounds) // 2 * 2].reshape(-1, 2)
    bounds = bounds[bounds[:, 0] < bounds[:, 1]]
    if len(bounds) == 0:
        return None
    lines, places = np.divmod(bounds - [0, 1], length)
    whole = (lines[:, 0] != lines[:, 1]).any()
    low, high = (0, length) if whole else (int(places[:, 0].min()), int(places[:, 1].max()) + 1)
    first, last = int(lines.min()), int(lines.max()) + 1
    return (low, first, high, last) if by_rows else (first, low, last, high)


def _area(box: Sequence[float]) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _common(a: Box, b: Box) -> float:
    return _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def _inside(extent: Box, box: Box) -> float:
    """Return the part of `extent` that lies in `box`, both of them at least a pixel wide and high."""
    extent, box = _at_least_a_pixel(extent), _at_least_a_pixel(box)
    return _common(extent, box) / _area(extent)


def _overlap(a: Box, b: Box) -> float:
    """Return the intersection over union, of boxes made at least a pixel wide and high."""
    a, b = _at_least_a_pixel(a), _at_least_a_pixel(b)
    common = _common(a, b)
    return common / max(_area(a) + _area(b) - common, 1e-9)


def _at_least_a_pixel(box: Box) -> Box:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half_w, half_h = max(box[2] - box[0], 1.0) / 2, max(box[3] - box[1], 1.0) / 2
    return (x - half_w, y - half_h, x + half_w, y + half_h)
