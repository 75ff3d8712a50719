"""Many objects on one canvas: masks, boxes, keypoints and labels, so that all can be seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazycfg.structures import BoxMode
from lazycfg.visualization.canvas import Canvas
from lazycfg.visualization.colors import Color
from lazycfg.visualization.masks import Window, bounds

__all__ = ["draw_keypoints", "hull", "label_region", "overlay_objects"]

_FEW = 10  # so many objects have their labels in any case


def overlay_objects(
    canvas: Canvas,
    *,
    colors: Sequence[Color],
    texts: Sequence[str],
    boxes: Sequence[Sequence[float]] | None = None,
    masks: Sequence[Window | None] | None = None,
    keypoints: Any = None,
    dashed: Sequence[bool] | None = None,
    visible: Callable[[float], bool] = bool,
    metadata: Any = None,
    alpha: float = 0.45,
    outlines: bool = True,
) -> None:
    """Draw N objects: masks first, then boxes, keypoints and labels, of large objects before small ones.

    Args:
        canvas: what is drawn on; everything is in pixels of its image.
        colors, texts: N.
        boxes: N, XYXY or XYWHA.
        masks: N.
        keypoints: (N, K, 3): x, y and a value for ``visible``.
        dashed: N: whose boxes have dashed lines.
        visible: whether a keypoint of such a value is drawn.
        metadata: names and connections of keypoints.
        alpha: of masks, from 0, transparent, to 1.
        outlines: whether the outlines of boxes are drawn; labels stand at the boxes in any case.
    """
    if len(texts) > 10:
        canvas.font_size = max(9, int(canvas.font_size * 0.75))
    # Large objects first, so that small ones on top of them stay visible.
    sizes = [_size(boxes, masks, index) for index in range(len(texts))]
    order = sorted(range(len(texts)), key=lambda index: -sizes[index])
    for index in order:
        if masks is not None and (window := masks[index]) is not None:
            mask, y0, x0 = window
            canvas.mask(mask, colors[index], y0=y0, x0=x0, alpha=alpha)
    for index in order if boxes is not None and outlines else ():
        draw = canvas.rotated_box if len(boxes[index]) == 5 else canvas.box
        draw(boxes[index], colors[index], dashed=bool(dashed and dashed[index]))
    for index in order if keypoints is not None and len(keypoints) == len(texts) else ():
        draw_keypoints(canvas, keypoints[index], metadata, colors[index], visible)
    chosen = _with_labels(canvas, order, texts)
    for rank, index in reversed(list(enumerate(chosen))):  # the small ones have fewer places for labels
        where: Sequence[float] | None = None
        if boxes is not None:
            where = hull(boxes[index])
        elif masks is not None and (window := masks[index]) is not None:
            where = bounds(window)
        elif keypoints is not None and index < len(keypoints):
            seen = [point[:2] for point in keypoints[index] if visible(point[2])]
            where = (*np.min(seen, axis=0), *np.max(seen, axis=0)) if seen else None
        if where is not None:
            canvas.label(texts[index], where, colors[index], only_where_free=rank >= _FEW)


def draw_keypoints(
    canvas: Canvas, points: Any, metadata: Any, color: Color, visible: Callable[[float], bool]
) -> None:
    """Draw the points (K, 3) of one object, and the lines that the metadata knows between them."""
    names = list(getattr(metadata, "keypoint_names", None) or ())
    where = {
        name: np.asarray(point[:2], dtype=np.float64)
        for name, point in zip(names, points, strict=False)
        if visible(point[2])
    }
    for first, second, line_color in getattr(metadata, "keypoint_connection_rules", None) or ():
        if first in where and second in where:
            canvas.line(where[first], where[second], line_color)
    # The body of a person: no two points are its ends
    if {"left_shoulder", "right_shoulder"} <= where.keys():
        neck = (where["left_shoulder"] + where["right_shoulder"]) / 2
        if "nose" in where:
            canvas.line(where["nose"], neck, color)
        if {"left_hip", "right_hip"} <= where.keys():
            canvas.line(neck, (where["left_hip"] + where["right_hip"]) / 2, color)
    for point in points:
        if visible(point[2]):
            canvas.dot(point[:2], color)


def label_region(canvas: Canvas, region: np.ndarray, text: str, color: Color) -> None:
    """Write a text into a region (H, W) bool: the middle of the row and column where most of it is."""
    if not region.any():
        return
    row = int(region.sum(axis=1).argmax())
    columns = np.flatnonzero(region[row])
    x = float(columns[len(columns) // 2])
    rows = np.flatnonzero(region[:, int(x)])
    y = float(rows[len(rows) // 2])
    canvas.label(text, (x, y, x + 1, y + 1), color, centred=True)


def _with_labels(canvas: Canvas, order: Sequence[int], texts: Sequence[str]) -> list[int]:
    """Choose whose labels are written: of the largest objects, as long as labels cover no more
    than a quarter of the image. Where there are more, they would hide what they stand for.
    """
    height, width = canvas.image_size
    room = height * width / 4
    chosen = []
    for count, index in enumerate(order):
        label_width, label_height = canvas.label_size(texts[index])
        room -= min(label_width, width) * label_height
        if room < 0 and count >= _FEW:
            break
        chosen.append(index)
    return chosen


def hull(box: Sequence[float]) -> Sequence[float]:
    """Return the upright box, XYXY, around a box of either kind."""
    return BoxMode.convert(list(box), BoxMode.XYWHA_ABS, BoxMode.XYXY_ABS) if len(box) == 5 else box


def _size(boxes: Any, masks: Any, index: int) -> float:
    if boxes is not None:
        if len(boxes[index]) == 5:
            return boxes[index][2] * boxes[index][3]
        x0, y0, x1, y1 = boxes[index]
        return (x1 - x0) * (y1 - y0)
    window = None if masks is None else masks[index]
    return 0.0 if window is None else float(window[0].sum())
