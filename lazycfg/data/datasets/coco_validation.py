"""What can be wrong with the entries of a COCO file, and with the records of any dataset."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from lazycfg.structures import BoxMode
from lazycfg.structures.rle import rle_runs
from lazycfg.utils import printable

OnError = Literal["raise", "skip"]

_MANY = 10**7  # a side of an image in pixels, or a coordinate: what is larger is no size


class _DataError(Exception):
    """An error of data that knows its remedy.

    Attributes:
        remedy: arguments of the dataset or loader, and the values with which it takes the data, such as
            {"on_error": "skip"}; all of them together are needed. Empty where there are none.
        advice: the end of the message that says the remedy in Python, for who calls a class; a command says
            it as an override instead.
    """

    def __init__(self, message: str, remedy: Mapping[str, Any] | None = None, advice: str = "") -> None:
        super().__init__(f"{message}{advice}")
        self.remedy = dict(remedy or {})
        self.advice = advice


class AnnotationError(_DataError, ValueError):
    """Raised for a record that cannot be used; the message names file, image and annotation.

    Attributes:
        remedy: arguments of the dataset or loader, and the values with which it takes the data, such as
            {"on_error": "skip"}; all of them together are needed. Empty where there are none.
        advice: the end of the message that says the remedy in Python.
    """


class MissingImagesError(_DataError, FileNotFoundError):
    """Images that are not where they were looked for; attributes as of `AnnotationError`."""


class Problem(NamedTuple):
    """What is wrong with an entry: `kind` for counting ("box without area"), `text` with its values."""

    kind: str
    text: str


class Fault(NamedTuple):
    """An entry that cannot be used: its `sort` ("image", "annotation", "mask", ...), words that find it, the
    `kind` of problem for counting, and what is wrong with its values.
    """

    sort: str
    where: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {printable(self.text)}"


def grouped(faults: Iterable[Fault]) -> list[str]:
    """Return faults in words, those of lines of one file that are wrong in the same way as one."""
    alike: dict[Any, list[Fault]] = {}
    for number, fault in enumerate(faults):
        line = _LINE.fullmatch(fault.where)
        alike.setdefault((line[1], fault.kind, fault.text) if line else number, []).append(fault)
    result = []
    for members in alike.values():
        if len(members) == 1:
            result.append(str(members[0]))
            continue
        file, lines = members[0].where.rpartition(":")[0], [f.where.rpartition(":")[2] for f in members]
        shown = ", ".join(lines[:8]) + (", ..." if len(lines) > 8 else "")
        result.append(f"{file}: {printable(members[0].text)} ({len(lines)} lines: {shown})")
    return result


_LINE = re.compile(r"(.+):\d+", re.DOTALL)


class ProblemLog:
    """Raises at the first entry that cannot be used, or counts such entries and remembers the first of each
    kind.

    Args:
        source: the file, for messages.
        on_error: "raise" or "skip".
        owner: the class that reads it, for messages.

    Attributes:
        counts: number of entries by "<sort of entry>: <kind of problem>".
        faults: all of them.
    """

    def __init__(self, source: str, on_error: OnError, owner: str) -> None:
        if on_error not in ("raise", "skip"):
            raise ValueError(f'{owner}: on_error must be "raise" or "skip", got {on_error!r}')
        self.source = source
        self.on_error = on_error
        self.owner = owner
        self.counts: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self._first: dict[str, str] = {}

    def accept(self, sort: str, where: str, problem: Problem | None, advice: str = "") -> bool:
        """Return whether an entry can be used.

        Args:
            sort: "image", "annotation", ...
            where: words that identify the entry.
            advice: what else can be done, for the message.

        Raises:
            AnnotationError: it cannot, with on_error="raise".
        """
        if problem is None:
            return True
        if self.on_error == "raise":
            end = "" if problem.text.endswith("?") else "."
            raise AnnotationError(
                f"{self.source}: {where}: {printable(problem.text)}",
                {"on_error": "skip"},
                f'{end} {self.owner}(on_error="skip") leaves such {_many(sort)} out{advice}',
            )
        self.faults.append(Fault(sort, where, problem.kind, problem.text))
        key = f"{sort}: {problem.kind}"
        self.counts[key] += 1
        self._first.setdefault(key, where)
        return False

    def report(self) -> str:
        """Return what was skipped: counts with words and the first entry of each kind; empty for nothing."""
        by_sort: dict[str, list[str]] = {}
        totals: Counter[str] = Counter()
        for key, count in self.counts.most_common():
            sort, kind = key.split(": ", 1)
            totals[sort] += count
            by_sort.setdefault(sort, []).append(f"{count} x {kind} (first: {self._first[key]})")
        return "; ".join(
            f"{totals[sort]} {sort if totals[sort] == 1 else _many(sort)}: {', '.join(kinds)}"
            for sort, kinds in by_sort.items()
        )


class SkipsProblems:
    """A dataset that reads a file, and raises at entries that cannot be used or skips and counts them."""

    _log: ProblemLog

    @property
    def on_error(self) -> str:
        """Either "raise" or "skip", as the dataset was told."""
        return self._log.on_error

    @property
    def problems(self) -> Counter[str]:
        """Number of skipped entries by "<sort of entry>: <kind of problem>"."""
        return self._log.counts

    @property
    def faults(self) -> list[Fault]:
        """Each entry that was skipped, and why."""
        return self._log.faults


def _many(sort: str) -> str:
    return sort if sort.endswith("s") else f"{sort}s"


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number (a bool is none)."""
    if isinstance(value, int):  # a whole number may be too large for `isfinite`
        return type(value) is not bool and abs(value) < 2**62
    return isinstance(value, float | np.number) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number, of whatever type."""
    return is_number(value) and value == int(value)


def is_id(value: Any) -> bool:
    """Return whether a value can be the id of an image: a whole number or a text."""
    return isinstance(value, str) or is_whole(value)


def image_problem(image: Any) -> Problem | None:
    """Return what is wrong with an entry of "images"; None if nothing is."""
    if not isinstance(image, dict):
        return Problem("no dict", f"it is {_a(image)}, expected a dict with 'id', 'file_name', ...")
    for key in ("id", "file_name", "width", "height"):
        if image.get(key) is None:
            return Problem(f"without {key}", f"it has no {key!r}")
    if not is_id(image["id"]):
        return Problem("wrong id", f"id must be a whole number or text, got {image['id']!r}")
    if not isinstance(image["file_name"], str) or not image["file_name"] or "\0" in image["file_name"]:
        return Problem("wrong file_name", f"file_name must be the name of a file, got {image['file_name']!r}")
    for key in ("width", "height"):
        if not is_whole(image[key]) or not 0 < image[key] < _MANY:
            return Problem(f"wrong {key}", f"{key} must be positive, a number of pixels, got {image[key]!r}")
    return None


def annotation_problem(
    annotation: Any, image: Mapping[str, Any], category_ids: Container[Any], need_bbox: bool = True
) -> Problem | None:
    """Return what is wrong with class, crowd flag or box of an entry of "annotations" of `image`."""
    category = annotation.get("category_id")
    if not is_id(category) or category not in category_ids:
        return Problem("unknown category", f"category_id {category!r} is not among the file's categories")
    return crowd_problem(annotation) or (
        box_problem(annotation.get("bbox"), None, image["width"], image["height"])
        if need_bbox or annotation.get("bbox") is not None
        else None
    )


def crowd_problem(annotation: Mapping[str, Any]) -> Problem | None:
    """Return what is wrong with the crowd flag of an annotation."""
    crowd = annotation.get("iscrowd", 0)
    if not isinstance(crowd, int | float | np.number | np.bool_) or crowd not in (0, 1):
        return Problem("wrong iscrowd", f"iscrowd must be 0 or 1, got {crowd!r}")
    return None


def value_problem(key: str, value: Any, width: float, height: float, num_keypoints: int) -> Problem | None:
    """Return what is wrong with the "segmentation", "keypoints" or "area" of an annotation."""
    if key == "segmentation":
        return segmentation_problem(value, width, height)
    if key == "keypoints":
        return keypoints_problem(value, num_keypoints)
    if not is_number(value) or value < 0:
        return Problem("wrong area", f"area must be a number of square pixels, got {value!r}")
    return None


_FORMS = {
    BoxMode.XYXY_ABS: "[x0, y0, x1, y1]",
    BoxMode.XYWH_ABS: "[x, y, width, height]",
    BoxMode.XYWHA_ABS: "[xc, yc, width, height, angle]",
}


def box_problem(bbox: Any, mode: BoxMode | None, width: float | None, height: float | None) -> Problem | None:
    """Return what is wrong with a box.

    Args:
        mode: how it is to be read, in pixels; None: XYWH, or XYWHA where it has five numbers.
        width, height: of the image, pixels; None: not known, and not compared.
    """
    if bbox is None:
        return Problem("without box", "it has no box: bbox must be [x, y, width, height], got None")
    values = bbox.tolist() if isinstance(bbox, np.ndarray) else bbox
    expected = "[x, y, width, height] (or [xc, yc, width, height, angle])" if mode is None else _FORMS[mode]
    if not isinstance(values, list | tuple) or len(values) not in (4, 5):
        return Problem("malformed box", f"bbox must be {expected}, got {bbox!r}")
    if mode is None:
        mode = BoxMode.XYWH_ABS if len(values) == 4 else BoxMode.XYWHA_ABS
    form = _FORMS[mode]
    if len(values) != (5 if mode == BoxMode.XYWHA_ABS else 4):
        return Problem("malformed box", f"bbox must be {form}, got {bbox!r}")
    for v in values:
        if not is_number(v):
            return Problem("box that is not numbers", f"bbox has values that are not finite numbers: {bbox}")
    if max(map(abs, values)) > _MANY:
        return Problem("box outside the image", f"bbox {bbox} ({form}) has values beyond any image")
    if mode == BoxMode.XYXY_ABS:
        empty = values[2] <= values[0] or values[3] <= values[1]
    else:
        empty = values[2] <= 0 or values[3] <= 0
    if empty:
        hint = "; is it [x, y, width, height]?" if mode == BoxMode.XYXY_ABS else ""
        return Problem("box without area", f"bbox {bbox} ({form}) has no area{hint}")
    if width is None or height is None:
        return None
    x0, y0, x1, y1 = BoxMode.convert([float(v) for v in values], mode, BoxMode.XYXY_ABS)
    if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
        return Problem(
            "box outside the image", f"bbox {bbox} ({form}) lies outside the image of {width}x{height}"
        )
    return None


def segmentation_problem(segmentation: Any, width: float | None, height: float | None) -> Problem | None:
    """Return what is wrong with polygons or run lengths of an image of `width` and `height` pixels."""
    if isinstance(segmentation, Mapping):
        return _rle_problem(segmentation, width, height)
    if isinstance(segmentation, np.ndarray) and segmentation.ndim == 2 and segmentation.dtype.kind in "bui":
        return Problem(
            "mask as an array",
            f"segmentation is a mask {segmentation.shape} as an array; give "
            "lazycfg.structures.rle.encode_mask(mask), or polygons",
        )
    if not isinstance(segmentation, list | tuple):
        got = _a(segmentation)
        return Problem("malformed mask", f"segmentation must be a list of polygons or an RLE dict, got {got}")
    if segmentation and all(is_number(v) for v in segmentation):
        return Problem(
            "malformed mask",
            "segmentation must be a list of polygons, [[x0, y0, x1, y1, ...], ...]; it is one flat list",
        )
    if len(segmentation) > 2 and all(isinstance(p, list | tuple) and len(p) == 2 for p in segmentation):
        return _points_problem()
    for polygon in segmentation:
        if isinstance(polygon, np.ndarray):
            polygon = polygon.ravel().tolist()
        if not isinstance(polygon, list | tuple):
            return Problem(
                "malformed mask",
                "segmentation must be a list of polygons, each a list [x0, y0, x1, y1, ...]",
            )
        if polygon and isinstance(polygon[0], list | tuple):
            return _points_problem()
        if len(polygon) % 2:
            return Problem(
                "polygon of odd length",
                f"segmentation has a polygon of {len(polygon)} numbers, which is not even",
            )
        try:
            # A sum is finite exactly if all its terms are (barring overflow), and is fast.
            finite = math.isfinite(math.fsum(polygon))
        except (TypeError, ValueError, OverflowError):
            finite = False
        if not finite:
            return Problem(
                "polygon that is not numbers", "segmentation has values that are not finite numbers"
            )
        if len(polygon) < 6:
            return Problem(
                "polygon of fewer than 3 points",
                f"segmentation has a polygon of {len(polygon) // 2} points, fewer than 3",
            )
    return None


def _points_problem() -> Problem:
    return Problem(
        "malformed mask",
        "segmentation has points [[x, y], ...]; it must be a list of polygons, each flat: "
        "[[x0, y0, x1, y1, ...], ...]",
    )


def _rle_problem(rle: Mapping[str, Any], width: float | None, height: float | None) -> Problem | None:
    if "counts" not in rle or "size" not in rle:
        keys = sorted(map(str, rle))
        return Problem("malformed RLE", f"RLE segmentation needs 'size' and 'counts', has {keys}")
    size = rle["size"].tolist() if isinstance(rle["size"], np.ndarray) else rle["size"]
    if (
        not isinstance(size, list | tuple)
        or len(size) != 2
        or not all(isinstance(s, int | np.integer) for s in size)
    ):
        return Problem("malformed RLE", f"RLE segmentation needs a 'size' [height, width], has {size!r}")
    if width is not None and height is not None and list(size) != [height, width]:
        return Problem(
            "RLE of another size",
            f"RLE segmentation is of size {list(size)} ([height, width]), the image of {[height, width]}",
        )
    try:
        runs = rle_runs(rle)
    except ValueError as error:
        return Problem("malformed RLE", f"RLE segmentation: {error}")
    if (runs < 0).any():
        return Problem("malformed RLE", "RLE segmentation has negative run lengths")
    if runs.sum() != size[0] * size[1]:
        return Problem(
            "RLE of another size",
            f"RLE segmentation has {int(runs.sum())} pixels, the image {size[0] * size[1]}",
        )
    return None


def keypoints_problem(keypoints: Any, num_keypoints: int) -> Problem | None:
    """Return what is wrong with keypoints; `num_keypoints` is what there should be, 0 for any."""
    values = keypoints
    if isinstance(keypoints, np.ndarray):
        values = keypoints.ravel().tolist()
    elif (
        isinstance(keypoints, list | tuple)
        and keypoints
        and all(isinstance(k, list | tuple) for k in keypoints)
    ):
        values = [v for point in keypoints for v in point]
    if not isinstance(values, list | tuple) or len(values) % 3:
        got = f"its length is {len(values)}" if isinstance(values, Sequence) else f"got {_a(values)}"
        return Problem("malformed keypoints", f"keypoints must be a list [x, y, visibility, ...], {got}")
    wrong = [v for v in values if not is_number(v)]
    if wrong:
        return Problem(
            "keypoints that are not numbers",
            f"keypoints have values that are not finite numbers: {wrong[0]!r}",
        )
    if num_keypoints and len(values) != 3 * num_keypoints:
        return Problem(
            "another number of keypoints",
            f"it has {len(values) // 3} keypoints, its category {num_keypoints}",
        )
    return None


def _a(value: Any) -> str:
    text = repr(value)
    return f"a {type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"
