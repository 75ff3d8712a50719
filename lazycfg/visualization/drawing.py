"""Functions that draw predictions and ground truth on an image."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.layers.mask_ops import paste_masks_in_boxes
from lazycfg.structures import BoxMode, Instances, ROIMasks
from lazycfg.structures.rasterize import pack_polygons, rasterize_windows
from lazycfg.structures.rle import decode_rle
from lazycfg.structures.rotated_boxes import scale_rotated
from lazycfg.visualization.canvas import Canvas
from lazycfg.visualization.colors import Color, colormap, shade
from lazycfg.visualization.fonts import readable

__all__ = ["draw_ground_truth", "draw_instances", "draw_panoptic_seg", "draw_sem_seg"]

Font = str | os.PathLike[str] | None
_FEW = 10  # so many objects have their labels in any case

Window = tuple[np.ndarray, int, int]
"""A mask (h, w) bool, and the row and column of its upper left pixel in the image."""


def draw_instances(
    image: Any,
    instances: Instances,
    metadata: Any = None,
    *,
    score_threshold: float = 0.0,
    keypoint_threshold: float = 0.05,
    max_instances: int = 100,
    scale: float | None = None,
    font: Font = None,
) -> np.ndarray:
    """Draw the objects of an image: predictions (``pred_boxes``, ``scores``...) or targets (``gt_boxes``...).

    A field of another kind draws itself if it has a method ``draw_on(canvas, boxes)``, which is given the
    `Canvas` and the boxes (N, 4) in pixels of the image.

    Args:
        image: RGB, (H, W, 3) array, (3, H, W) tensor or Pillow image; or a `Canvas` to draw more on.
        instances: in pixels of the image. Boxes (upright or rotated), classes, scores, masks (whole, polygons
            or inside boxes) and keypoints are drawn as far as there are any. If its ``image_size`` is not
            that of the image, everything is scaled.
        metadata: class names, colours and keypoint connections, if known.
        score_threshold: leave out objects below it.
        keypoint_threshold: leave out keypoints below it.
        max_instances: draw this many at most, the best.
        scale: size of the result relative to the image; None enlarges small images until labels are readable.
        font: a font file (.ttf, .otf, .ttc) for the labels; None takes a usual one that has their letters,
            and writes class numbers, with a warning, where none has.

    Returns:
        (H * scale, W * scale, 3) uint8, RGB.
    """
    canvas = Canvas.on(image, scale=scale, font=font)
    scores = _field(instances, "scores")
    if scores is not None:
        keep = (scores >= score_threshold).nonzero()[:, 0]
        keep = keep[scores[keep].argsort(descending=True, stable=True)][:max_instances]
        instances, scores = instances[keep], scores[keep]
    else:
        instances = instances[:max_instances]

    height, width = canvas.size
    ratio_y, ratio_x = height / instances.image_size[0], width / instances.image_size[1]
    boxes = _field(instances, "pred_boxes", "gt_boxes", "proposal_boxes")
    classes = _field(instances, "pred_classes", "gt_classes")
    keypoints = _field(instances, "pred_keypoints", "gt_keypoints")
    masks = _windows(instances, boxes)
    if masks is not None and (ratio_x, ratio_y) != (1, 1):
        masks = [_resized(mask, instances.image_size, canvas.size) for mask in masks]
    labels = [None] * len(instances) if classes is None else classes.tolist()
    placed = None if boxes is None else _scaled(boxes.float(), ratio_x, ratio_y)
    for field in instances.get_fields().values() if placed is not None else ():
        if hasattr(field, "draw_on"):
            field.draw_on(canvas, placed)
    return _draw_objects(
        canvas,
        metadata,
        labels=labels,
        boxes=None if placed is None else placed.tolist(),
        scores=None if scores is None else scores.tolist(),
        masks=masks,
        keypoints=None
        if keypoints is None
        else (keypoints.float() * torch.tensor([ratio_x, ratio_y, 1])).numpy(),
        visible=lambda value: value > keypoint_threshold,
    )


def draw_ground_truth(
    record: Mapping[str, Any],
    metadata: Any = None,
    *,
    image: Any = None,
    scale: float | None = None,
    font: Font = None,
) -> np.ndarray:
    """Draw the annotations of a dataset's record; crowds are dashed.

    Args:
        record: as a dataset gives it: "annotations" and, unless ``image`` is given, "image" (RGB) or
            "file_name".
        metadata, scale, font: as in `draw_instances`.
        image: RGB; the image if not the record's own.

    Returns:
        (H * scale, W * scale, 3) uint8, RGB.
    """
    if image is None:
        image = record.get("image")
    if image is None:
        from PIL import Image, ImageOps

        with Image.open(record["file_name"]) as file:
            image = ImageOps.exif_transpose(file).convert("RGB")
    canvas = Canvas.on(image, scale=scale, font=font)
    annotations = record.get("annotations", ())
    boxes = [_box_of_annotation(a) for a in annotations]
    masks = _windows_of_annotations([a.get("segmentation") for a in annotations], canvas.size)
    points = [
        np.asarray(a["keypoints"], dtype=np.float64).reshape(-1, 3) for a in annotations if "keypoints" in a
    ]
    return _draw_objects(
        canvas,
        metadata,
        labels=[a["category_id"] for a in annotations],
        boxes=boxes,
        masks=masks,
        keypoints=points or None,
        crowds=[bool(a.get("iscrowd", 0)) for a in annotations],
        visible=lambda value: value > 0,
    )


def draw_sem_seg(
    image: Any,
    sem_seg: Any,
    metadata: Any = None,
    *,
    alpha: float = 0.55,
    scale: float | None = None,
    font: Font = None,
) -> np.ndarray:
    """Draw a label for every pixel: (H, W) class ids. The ignored label of the metadata (else 255) is left
    bare.
    """
    canvas = Canvas.on(image, scale=scale, font=font)
    labels = np.asarray(sem_seg.cpu() if isinstance(sem_seg, Tensor) else sem_seg)
    names = list(getattr(metadata, "stuff_classes", None) or ())
    colors = list(getattr(metadata, "stuff_colors", None) or ()) or colormap(int(labels.max(initial=0)) + 1)
    ignored = getattr(metadata, "ignore_label", 255)
    present = [int(value) for value in np.unique(labels) if 0 <= value < len(colors) and value != ignored]
    for value in present:
        canvas.tint(labels == value, colors[value], alpha=alpha)
    for value in sorted(present, key=lambda value: -int((labels == value).sum())):
        name = readable(names[value], str(value), canvas.font) if value < len(names) else str(value)
        _label_region(canvas, labels == value, name, colors[value])
    return canvas.image


def draw_panoptic_seg(
    image: Any,
    panoptic_seg: Any,
    segments_info: Sequence[Mapping[str, Any]],
    metadata: Any = None,
    *,
    alpha: float = 0.5,
    scale: float | None = None,
    font: Font = None,
) -> np.ndarray:
    """Draw a panoptic segmentation.

    Args:
        image: RGB.
        panoptic_seg: (H, W) segment ids; 0 is nothing.
        segments_info: dicts with "id", "isthing", "category_id" and perhaps "score".
        metadata: ``thing_classes`` and ``stuff_classes`` with their colours.
    """
    canvas = Canvas.on(image, scale=scale, font=font)
    segments = np.asarray(panoptic_seg.cpu() if isinstance(panoptic_seg, Tensor) else panoptic_seg)
    ordered = sorted(segments_info, key=lambda segment: bool(segment["isthing"]))
    drawn: list[tuple[np.ndarray, str, Color]] = []
    for number, segment in enumerate(ordered):
        region = segments == segment["id"]
        kind = "thing" if segment["isthing"] else "stuff"
        names = list(getattr(metadata, f"{kind}_classes", None) or ())
        colors = list(getattr(metadata, f"{kind}_colors", None) or ())
        category = segment["category_id"]
        color = colors[category] if category < len(colors) else colormap(category + 1)[category]
        name = str(category)
        if category < len(names):
            name = readable(names[category], name, canvas.font)
        if segment["isthing"]:
            color = shade(color, number)
            canvas.mask(region, color, alpha=alpha)
        else:
            canvas.tint(region, color, alpha=alpha)
        drawn.append((region, name + _percent(segment.get("score")), color))
    for region, text, color in drawn:
        _label_region(canvas, region, text, color)
    return canvas.image


def _draw_objects(
    canvas: Canvas,
    metadata: Any,
    *,
    labels: Sequence[int | None],
    boxes: Sequence[Sequence[float]] | None,
    visible: Callable[[float], bool],
    scores: Sequence[float] | None = None,
    masks: Sequence[Window | None] | None = None,
    keypoints: Any = None,
    crowds: Sequence[bool] | None = None,
) -> np.ndarray:
    if len(labels) > 10:
        canvas.font_size = max(9, int(canvas.font_size * 0.75))
    colors = _object_colors(labels, metadata)
    # Large objects first, so that small ones on top of them stay visible.
    sizes = [_size(boxes, masks, index) for index in range(len(labels))]
    order = sorted(range(len(labels)), key=lambda index: -sizes[index])
    for index in order:
        if masks is not None and (window := masks[index]) is not None:
            mask, y0, x0 = window
            canvas.mask(mask, colors[index], y0=y0, x0=x0)
    for index in order if boxes is not None else ():
        draw = canvas.rotated_box if len(boxes[index]) == 5 else canvas.box
        draw(boxes[index], colors[index], dashed=bool(crowds and crowds[index]))
    for index in order if keypoints is not None and len(keypoints) == len(labels) else ():
        _draw_keypoints(canvas, keypoints[index], metadata, colors[index], visible)
    texts = _label_texts(canvas, labels, metadata, scores, crowds)
    for index in reversed(_with_labels(canvas, order, texts)):  # the small ones have fewer places for labels
        if boxes is not None:
            canvas.label(texts[index], _hull(boxes[index]), colors[index])
        elif masks is not None and (window := masks[index]) is not None:
            canvas.label(texts[index], _bounds(window), colors[index])
    return canvas.image


def _label_texts(
    canvas: Canvas,
    labels: Sequence[int | None],
    metadata: Any,
    scores: Sequence[float] | None,
    crowds: Sequence[bool] | None,
) -> list[str]:
    names = list(getattr(metadata, "thing_classes", None) or ())
    written = {None: ""}
    for label in {label for label in labels if label is not None}:
        number = f"class {label}"
        written[label] = readable(str(names[label]), number, canvas.font) if label < len(names) else number
    return [
        (
            written[label]
            + _percent(None if scores is None else scores[index])
            + (" (crowd)" if crowds and crowds[index] else "")
        ).strip()
        for index, label in enumerate(labels)
    ]


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


def _object_colors(labels: Sequence[int | None], metadata: Any) -> list[Color]:
    """By class, neighbours of one class in shades of it; by object where classes do not tell them apart."""
    given = list(getattr(metadata, "thing_colors", None) or ())
    count = max(
        [len(getattr(metadata, "thing_classes", None) or ()), *(1 + (label or 0) for label in labels)]
    )
    if all(label is None for label in labels) or (count == 1 and not given):
        return colormap(len(labels))
    palette = given if len(given) >= count else colormap(count)
    seen: dict[int, int] = {}
    colors = []
    for label in labels:
        step = seen.get(label or 0, 0)
        seen[label or 0] = step + 1
        colors.append(shade(palette[label or 0], step))
    return colors


def _draw_keypoints(
    canvas: Canvas, points: Any, metadata: Any, color: Color, visible: Callable[[float], bool]
) -> None:
    names = list(getattr(metadata, "keypoint_names", None) or ())
    where = {name: point for name, point in zip(names, points, strict=False) if visible(point[2])}
    for first, second, line_color in getattr(metadata, "keypoint_connection_rules", None) or ():
        if first in where and second in where:
            canvas.line(where[first][:2], where[second][:2], line_color)
    for point in points:
        if visible(point[2]):
            canvas.dot(point[:2], color)


def _field(instances: Instances, *names: str) -> Tensor | None:
    for name in names:
        if instances.has(name):
            value = instances.get(name)
            return getattr(value, "tensor", value).detach().cpu()
    return None


def _windows(instances: Instances, boxes: Tensor | None) -> list[Window | None] | None:
    """Return the masks of instances, whatever form they have."""
    name = next((name for name in ("pred_masks", "gt_masks") if instances.has(name)), None)
    if name is None:
        return None
    masks = instances.get(name)
    if hasattr(masks, "polygons"):
        return _windows_of_annotations(masks.polygons, instances.image_size)
    values = (masks if isinstance(masks, Tensor) else masks.tensor).detach().cpu()
    if isinstance(masks, ROIMasks) or values.dim() == 4:
        assert boxes is not None
        values = values[:, 0] if values.dim() == 4 else values
        crops = paste_masks_in_boxes(values, boxes, instances.image_size)
        return [(crop.mask.numpy(), crop.y0, crop.x0) for crop in crops]
    values = values if values.dtype == torch.bool else values > 0.5
    return [(mask, 0, 0) for mask in values.numpy()]


def _windows_of_annotations(segmentations: Sequence[Any], size: tuple[int, int]) -> list[Window | None]:
    """Return the masks of segmentations: polygons, a run-length encoding, or an array (H, W)."""
    result: list[Window | None] = [None] * len(segmentations)
    polygons: dict[int, list[np.ndarray]] = {}
    for index, segmentation in enumerate(segmentations):
        if segmentation is None or len(segmentation) == 0:
            continue
        if isinstance(segmentation, Mapping):
            result[index] = decode_rle(segmentation), 0, 0
        elif isinstance(segmentation, np.ndarray) and segmentation.shape == size:
            result[index] = segmentation.astype(bool), 0, 0
        else:
            polygons[index] = [np.asarray(polygon, dtype=np.float64).ravel() for polygon in segmentation]
    if polygons:
        windows = rasterize_windows(pack_polygons(list(polygons.values())), *size)
        for index, window in zip(polygons, windows, strict=True):
            result[index] = window
    return result


def _resized(window: Window | None, size: tuple[int, int], wanted: tuple[int, int]) -> Window | None:
    if window is None:
        return None
    mask, y0, x0 = window
    whole = torch.zeros(size)
    whole[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] = torch.from_numpy(mask.astype(np.float32))
    enlarged = torch.nn.functional.interpolate(
        whole[None, None], size=wanted, mode="bilinear", align_corners=False
    )
    return (enlarged[0, 0] > 0.5).numpy(), 0, 0


def _scaled(boxes: Tensor, ratio_x: float, ratio_y: float) -> Tensor:
    """Boxes (N, 4) XYXY or (N, 5), scaled with their image."""
    if boxes.shape[1] == 5:
        return scale_rotated(boxes, ratio_x, ratio_y)
    return boxes * torch.tensor([ratio_x, ratio_y, ratio_x, ratio_y])


def _box_of_annotation(annotation: Mapping[str, Any]) -> list[float]:
    """Return the box as XYXY, or as XYWHA where the record has it so."""
    box, mode = list(annotation["bbox"]), annotation["bbox_mode"]
    wanted = BoxMode.XYWHA_ABS if mode == BoxMode.XYWHA_ABS else BoxMode.XYXY_ABS
    return [float(value) for value in BoxMode.convert(box, mode, wanted)]


def _hull(box: Sequence[float]) -> Sequence[float]:
    """Return the upright box, XYXY, around a box of either kind."""
    return BoxMode.convert(list(box), BoxMode.XYWHA_ABS, BoxMode.XYXY_ABS) if len(box) == 5 else box


def _bounds(window: Window) -> tuple[float, float, float, float]:
    mask, y0, x0 = window
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return float(x0), float(y0), float(x0), float(y0)
    return float(x0 + columns[0]), float(y0 + rows[0]), float(x0 + columns[-1] + 1), float(y0 + rows[-1] + 1)


def _size(boxes: Any, masks: Any, index: int) -> float:
    if boxes is not None:
        if len(boxes[index]) == 5:
            return boxes[index][2] * boxes[index][3]
        x0, y0, x1, y1 = boxes[index]
        return (x1 - x0) * (y1 - y0)
    window = None if masks is None else masks[index]
    return 0.0 if window is None else float(window[0].sum())


def _label_region(canvas: Canvas, region: np.ndarray, text: str, color: Color) -> None:
    """Write into the middle of the rows and columns where most of the region is."""
    if not region.any():
        return
    row = int(region.sum(axis=1).argmax())
    columns = np.flatnonzero(region[row])
    x = float(columns[len(columns) // 2])
    rows = np.flatnonzero(region[:, int(x)])
    y = float(rows[len(rows) // 2])
    canvas.label(text, (x, y, x + 1, y + 1), color, centred=True)


def _percent(score: float | None) -> str:
    return "" if score is None else f" {100 * score:.0f}%"
