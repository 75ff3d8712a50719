"""Functions that draw predictions and ground truth on an image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures import BoxMode, Instances
from lazycfg.structures.rotated_boxes import scale_rotated
from lazycfg.utils.segment_ids import rgb2id
from lazycfg.visualization.canvas import Canvas
from lazycfg.visualization.colors import Color, ColorMode, as_color, colormap, shade
from lazycfg.visualization.fonts import readable
from lazycfg.visualization.masks import mask_windows, resized, union
from lazycfg.visualization.overlay import label_region, overlay_objects

__all__ = ["draw_ground_truth", "draw_instances", "draw_panoptic_seg", "draw_sem_seg"]

Font = str | os.PathLike[str] | None
_ALPHA = {ColorMode.IMAGE: 0.45, ColorMode.SEGMENTATION: 0.8, ColorMode.IMAGE_BW: 0.3}


def draw_instances(
    image: Any,
    instances: Instances,
    metadata: Any = None,
    *,
    score_threshold: float = 0.0,
    keypoint_threshold: float = 0.05,
    max_instances: int | None = 100,
    mode: ColorMode = ColorMode.IMAGE,
    colors: Sequence[Any] | None = None,
    alpha: float | None = None,
    outlines: bool = True,
    scale: float | None = None,
    font: Font = None,
) -> np.ndarray:
    """Draw the objects of an image: predictions (``pred_boxes``, ``scores``...) or targets (``gt_boxes``...).

    A field of another kind draws itself if it has a method ``draw_on(canvas, boxes)``, which is given the
    `Canvas` and the boxes (N, 4) in pixels of the image. Where no object reaches ``score_threshold``, the
    image says so, and what the best score is.

    Args:
        image: RGB, (H, W, 3) array, (3, H, W) tensor or Pillow image; or a `Canvas` to draw more on.
        instances: in pixels of the image. Boxes (upright or rotated), classes, scores, masks (whole, polygons
            or inside boxes) and keypoints are drawn as far as there are any. If its ``image_size`` is not
            that of the image, everything is scaled.
        metadata: class names, colours and keypoint connections, if known.
        score_threshold: leave out objects below it.
        keypoint_threshold: leave out keypoints below it.
        max_instances: draw this many at most, the best; None draws all.
        mode: how objects are coloured.
        colors: one for each of ``instances`` instead, see `as_color`; names and numbers alike.
        alpha: of masks, from 0, transparent, to 1; None: what suits the mode.
        outlines: whether the outlines of boxes are drawn.
        scale: size of the result relative to the image; None enlarges small images until labels are readable,
            and makes huge ones smaller.
        font: a font file (.ttf, .otf, .ttc) for the labels; None takes a usual one that has their letters,
            and writes class numbers, with a warning, where none has.

    Returns:
        (H * scale, W * scale, 3) uint8, RGB.

    Raises:
        ValueError: not as many colours as instances.
    """
    canvas = Canvas.on(image, scale=scale, font=font)
    if colors is not None and len(colors) != len(instances):
        raise ValueError(f"{len(colors)} colors for {len(instances)} instances")
    scores = _field(instances, "scores")
    if scores is not None:
        keep = (scores >= score_threshold).nonzero()[:, 0]
        if not len(keep) and len(scores):
            _say_nothing_found(canvas, score_threshold, float(scores.max()))
        keep = keep[scores[keep].argsort(descending=True, stable=True)][:max_instances]
    else:
        keep = torch.arange(len(instances))[:max_instances]
    instances, scores = instances[keep], None if scores is None else scores[keep]

    height, width = canvas.size
    ratio_y, ratio_x = height / instances.image_size[0], width / instances.image_size[1]
    boxes = _field(instances, "pred_boxes", "gt_boxes", "proposal_boxes")
    classes = _field(instances, "pred_classes", "gt_classes")
    keypoints = _field(instances, "pred_keypoints", "gt_keypoints")
    given = next((instances.get(name) for name in ("pred_masks", "gt_masks") if instances.has(name)), None)
    masks = None if given is None else mask_windows(given, instances.image_size, boxes)
    if masks is not None and (ratio_x, ratio_y) != (1, 1):
        masks = [resized(mask, instances.image_size, canvas.size) for mask in masks]
    if mode is ColorMode.IMAGE_BW:
        canvas.grey(keep=union(masks or (), canvas.size))
    labels = [None] * len(instances) if classes is None else classes.tolist()
    placed = None if boxes is None else _scaled(boxes.float(), ratio_x, ratio_y)
    for field in instances.get_fields().values() if placed is not None else ():
        if hasattr(field, "draw_on"):
            field.draw_on(canvas, placed)
    if keypoints is not None:
        keypoints = (keypoints.float() * torch.tensor([ratio_x, ratio_y, 1])).numpy()
    overlay_objects(
        canvas,
        colors=_object_colors(labels, metadata, mode)
        if colors is None
        else [as_color(colors[index]) for index in keep.tolist()],
        texts=_label_texts(canvas, labels, metadata, None if scores is None else scores.tolist()),
        boxes=None if placed is None else placed.tolist(),
        masks=masks,
        keypoints=keypoints,
        visible=lambda value: value > keypoint_threshold,
        metadata=metadata,
        alpha=_ALPHA[mode] if alpha is None else alpha,
        outlines=outlines,
    )
    return canvas.image


def draw_ground_truth(
    record: Mapping[str, Any],
    metadata: Any = None,
    *,
    image: Any = None,
    mode: ColorMode = ColorMode.IMAGE,
    scale: float | None = None,
    font: Font = None,
) -> np.ndarray:
    """Draw the ground truth of a record: its label or segment map, then its annotations; crowds are dashed.

    Args:
        record: as a dataset gives it: "annotations", "sem_seg" or "sem_seg_file_name", "pan_seg_file_name"
            with "segments_info", as far as there are any; unless ``image`` is given, "image" (RGB) or
            "file_name".
        metadata, mode, scale, font: as in `draw_instances`.
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
    if "pan_seg_file_name" in record:
        segments = rgb2id(_read(record["pan_seg_file_name"], "RGB"))
        draw_panoptic_seg(canvas, segments, record["segments_info"], metadata)
    elif record.get("sem_seg") is not None:
        draw_sem_seg(canvas, record["sem_seg"], metadata)
    elif record.get("sem_seg_file_name"):
        draw_sem_seg(canvas, _read(record["sem_seg_file_name"]), metadata)
    annotations = record.get("annotations", ())
    labels = [a["category_id"] for a in annotations]
    crowds = [bool(a.get("iscrowd", 0)) for a in annotations]
    points = [
        np.asarray(a["keypoints"], dtype=np.float64).reshape(-1, 3) for a in annotations if "keypoints" in a
    ]
    overlay_objects(
        canvas,
        colors=_object_colors(labels, metadata, mode),
        texts=[
            text + (" (crowd)" if crowd else "")
            for text, crowd in zip(_label_texts(canvas, labels, metadata), crowds, strict=True)
        ],
        boxes=[_box_of_annotation(a) for a in annotations],
        masks=mask_windows([a.get("segmentation") for a in annotations], canvas.size),
        keypoints=points or None,
        dashed=crowds,
        visible=lambda value: value > 0,
        metadata=metadata,
        alpha=_ALPHA[mode],
    )
    return canvas.image


def draw_sem_seg(
    image: Any,
    sem_seg: Any,
    metadata: Any = None,
    *,
    alpha: float = 0.55,
    area_threshold: int = 0,
    scale: float | None = None,
    font: Font = None,
) -> np.ndarray:
    """Draw a label for every pixel: (H, W) class ids. The ignored label of the metadata (else 255) is left
    bare, and so are classes with fewer pixels than ``area_threshold``.
    """
    canvas = Canvas.on(image, scale=scale, font=font)
    labels = np.asarray(sem_seg.cpu() if isinstance(sem_seg, Tensor) else sem_seg)
    names = list(getattr(metadata, "stuff_classes", None) or ())
    colors = list(getattr(metadata, "stuff_colors", None) or ()) or colormap(int(labels.max(initial=0)) + 1)
    ignored = getattr(metadata, "ignore_label", 255)
    areas = dict(zip(*(part.tolist() for part in np.unique(labels, return_counts=True)), strict=True))
    present = [
        value
        for value, area in areas.items()
        if 0 <= value < len(colors) and value != ignored and area >= area_threshold
    ]
    for value in present:
        canvas.tint(labels == value, colors[value], alpha=alpha)
    for value in sorted(present, key=lambda value: -areas[value]):
        name = readable(names[value], str(value), canvas.font) if value < len(names) else str(value)
        label_region(canvas, labels == value, name, colors[value])
    return canvas.image


def draw_panoptic_seg(
    image: Any,
    panoptic_seg: Any,
    segments_info: Sequence[Mapping[str, Any]],
    metadata: Any = None,
    *,
    alpha: float = 0.5,
    area_threshold: int = 0,
    colors: Sequence[Any] | None = None,
    scale: float | None = None,
    font: Font = None,
) -> np.ndarray:
    """Draw a panoptic segmentation.

    Args:
        image: RGB.
        panoptic_seg: (H, W) segment ids; 0 is nothing.
        segments_info: dicts with "id", "isthing", "category_id" and perhaps "score".
        metadata: ``thing_classes`` and ``stuff_classes`` with their colours.
        alpha: from 0, transparent, to 1.
        area_threshold: segments with fewer pixels are left out.
        colors: one for each segment, None for the usual one.
        scale, font: as in `draw_instances`.

    Raises:
        ValueError: not as many colours as segments.
    """
    canvas = Canvas.on(image, scale=scale, font=font)
    if colors is not None and len(colors) != len(segments_info):
        raise ValueError(f"{len(colors)} colors for {len(segments_info)} segments")
    segments = np.asarray(panoptic_seg.cpu() if isinstance(panoptic_seg, Tensor) else panoptic_seg)
    order = sorted(range(len(segments_info)), key=lambda index: bool(segments_info[index]["isthing"]))
    drawn: list[tuple[np.ndarray, str, Color]] = []
    for number, index in enumerate(order):
        segment = segments_info[index]
        region = segments == segment["id"]
        if area_threshold and region.sum() < area_threshold:
            continue
        kind = "thing" if segment["isthing"] else "stuff"
        names = list(getattr(metadata, f"{kind}_classes", None) or ())
        palette = list(getattr(metadata, f"{kind}_colors", None) or ())
        category = segment["category_id"]
        color = palette[category] if category < len(palette) else colormap(category + 1)[category]
        name = str(category)
        if category < len(names):
            name = readable(names[category], name, canvas.font)
        if colors is not None and colors[index] is not None:
            color = as_color(colors[index])
        elif segment["isthing"]:
            color = shade(color, number)
        if segment["isthing"]:
            canvas.mask(region, color, alpha=alpha)
        else:
            canvas.tint(region, color, alpha=alpha)
        drawn.append((region, name + _percent(segment.get("score")), color))
    for region, text, color in drawn:
        label_region(canvas, region, text, color)
    return canvas.image


def _label_texts(
    canvas: Canvas, labels: Sequence[int | None], metadata: Any, scores: Sequence[float] | None = None
) -> list[str]:
    names = list(getattr(metadata, "thing_classes", None) or ())
    written = {None: ""}
    for label in {label for label in labels if label is not None}:
        number = f"class {label}"
        written[label] = readable(str(names[label]), number, canvas.font) if label < len(names) else number
    return [
        (written[label] + _percent(None if scores is None else scores[index])).strip()
        for index, label in enumerate(labels)
    ]


def _object_colors(labels: Sequence[int | None], metadata: Any, mode: ColorMode) -> list[Color]:
    """By class, neighbours of one class in shades of it; by object where classes do not tell them apart."""
    given = list(getattr(metadata, "thing_colors", None) or ())
    count = max(
        [len(getattr(metadata, "thing_classes", None) or ()), *(1 + (label or 0) for label in labels)]
    )
    if all(label is None for label in labels):
        return colormap(len(labels))
    palette = given if len(given) >= count else colormap(count)
    if mode is ColorMode.SEGMENTATION:
        return [palette[label or 0] for label in labels]
    if count == 1 and not given:
        return colormap(len(labels))
    seen: dict[int, int] = {}
    colors = []
    for label in labels:
        step = seen.get(label or 0, 0)
        seen[label or 0] = step + 1
        colors.append(shade(palette[label or 0], step))
    return colors


def _field(instances: Instances, *names: str) -> Tensor | None:
    for name in names:
        if instances.has(name):
            value = instances.get(name)
            return getattr(value, "tensor", value).detach().cpu()
    return None


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


def _read(file_name: str, mode: str | None = None) -> np.ndarray:
    from PIL import Image

    with Image.open(file_name) as file:
        return np.asarray(file.convert(mode) if mode else file)


def _say_nothing_found(canvas: Canvas, threshold: float, best: float) -> None:
    corner = (0, canvas.height * 0.02)
    canvas.text(f"nothing above {threshold:g}, best {best:.2f}", corner, (255, 255, 255), align="left")


def _percent(score: float | None) -> str:
    return "" if score is None else f" {100 * score:.0f}%"
