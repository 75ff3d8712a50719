"""The drawing functions behind one object, for code that is used to detectron2's."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures import Instances
from lazycfg.visualization.canvas import Canvas
from lazycfg.visualization.colors import Color, ColorMode, as_color, colormap
from lazycfg.visualization.drawing import draw_ground_truth, draw_instances, draw_panoptic_seg, draw_sem_seg
from lazycfg.visualization.masks import mask_windows
from lazycfg.visualization.overlay import draw_keypoints, hull, label_region, overlay_objects

__all__ = ["VisImage", "Visualizer"]

VisImage = Canvas
"""What the methods of `Visualizer` return: ``get_image()`` and ``save(file)`` give what is drawn so far."""

_KEYPOINT_THRESHOLD = 0.05
_SOLID = ("-", "solid")


class Visualizer:
    """Draw on an image step by step: each method adds to the drawing and returns the image.

    ::

        visualizer = Visualizer(image, dataset.metadata)
        visualizer.draw_instance_predictions(instances).save("found.png")

    All coordinates are in pixels of the image, whatever ``scale``. A colour is what `as_color` takes.

    Args:
        img_rgb: (H, W, 3), RGB; as the functions of this package take it.
        metadata: class names, colours, keypoint connections.
        scale: size of the result relative to the image; None enlarges small images until labels are readable,
            and makes huge ones smaller.
        instance_mode: how objects are coloured.
        font: a font file for the labels, as in `draw_instances`.
    """

    def __init__(
        self,
        img_rgb: Any,
        metadata: Any = None,
        scale: float | None = 1.0,
        instance_mode: ColorMode = ColorMode.IMAGE,
        *,
        font: str | os.PathLike[str] | None = None,
    ) -> None:
        self.output = Canvas(img_rgb, scale, font=font)
        self.metadata = metadata
        self.instance_mode = ColorMode(instance_mode)
        self._uncoloured = 0  # things drawn without a colour of their own

    def get_output(self) -> VisImage:
        """Return the image with what was drawn so far; what is drawn later is on it, too."""
        return self.output

    # -- whole results

    def draw_instance_predictions(
        self, predictions: Instances, *, score_threshold: float = 0.0, max_instances: int | None = None
    ) -> VisImage:
        """Draw boxes, classes, scores, masks and keypoints, as far as there are any."""
        draw_instances(
            self.output,
            predictions,
            self.metadata,
            score_threshold=score_threshold,
            max_instances=max_instances,
            mode=self.instance_mode,
        )
        return self.output

    def draw_dataset_dict(self, dic: Mapping[str, Any]) -> VisImage:
        """Draw the annotations and the maps of labels of a record."""
        draw_ground_truth(dic, self.metadata, image=self.output, mode=self.instance_mode)
        return self.output

    def draw_sem_seg(self, sem_seg: Any, area_threshold: int | None = None, alpha: float = 0.55) -> VisImage:
        """Draw the label (H, W) of every pixel; classes with fewer pixels than a threshold are left out."""
        draw_sem_seg(self.output, sem_seg, self.metadata, alpha=alpha, area_threshold=area_threshold or 0)
        return self.output

    def draw_panoptic_seg(
        self,
        panoptic_seg: Any,
        segments_info: Sequence[Mapping[str, Any]],
        area_threshold: int | None = None,
        alpha: float = 0.5,
    ) -> VisImage:
        """Draw segments (H, W) and their classes; those with fewer pixels than a threshold are left out."""
        draw_panoptic_seg(
            self.output,
            panoptic_seg,
            segments_info,
            self.metadata,
            alpha=alpha,
            area_threshold=area_threshold or 0,
        )
        return self.output

    draw_panoptic_seg_predictions = draw_panoptic_seg

    def overlay_instances(
        self,
        *,
        boxes: Any = None,
        labels: Sequence[str] | None = None,
        masks: Any = None,
        keypoints: Any = None,
        assigned_colors: Sequence[Any] | None = None,
        alpha: float = 0.5,
    ) -> VisImage:
        """Draw N objects that are given as boxes, masks or keypoints instead of `Instances`.

        Args:
            boxes: `Boxes`, `RotatedBoxes`, or (N, 4) XYXY or (N, 5).
            labels: N texts.
            masks: `BitMasks`, `PolygonMasks`, (N, H, W), or a list of polygons, run-length encodings and
                arrays.
            keypoints: `Keypoints` or (N, K, 3): x, y and a score.
            assigned_colors: N colours; None gives each its own.
            alpha: of the masks, from 0, transparent, to 1.

        Raises:
            ValueError: the arguments are not of one length.
        """
        box_rows = None if boxes is None else _rows(boxes, 2)
        windows = None
        if masks is not None:
            placed = None if box_rows is None else torch.as_tensor(box_rows)
            windows = mask_windows(masks, self.output.size, placed)
        points = None if keypoints is None else _rows(keypoints, 3)
        given = {"boxes": box_rows, "labels": labels, "masks": windows, "keypoints": points}
        lengths = {name: len(part) for name, part in given.items() if part is not None}
        if assigned_colors is not None:
            lengths["assigned_colors"] = len(assigned_colors)
        if len(set(lengths.values())) > 1:
            counted = ", ".join(f"{length} {name}" for name, length in lengths.items())
            raise ValueError(f"arguments of different length: {counted}")
        count = next(iter(lengths.values()), 0)
        overlay_objects(
            self.output,
            colors=colormap(count) if assigned_colors is None else [as_color(c) for c in assigned_colors],
            texts=[""] * count if labels is None else [str(label) for label in labels],
            boxes=None if box_rows is None else box_rows.tolist(),
            masks=windows,
            keypoints=points,
            visible=lambda value: value > _KEYPOINT_THRESHOLD,
            metadata=self.metadata,
            alpha=alpha,
        )
        return self.output

    def overlay_rotated_instances(
        self,
        boxes: Any = None,
        labels: Sequence[str] | None = None,
        assigned_colors: Sequence[Any] | None = None,
    ) -> VisImage:
        """Draw `RotatedBoxes` or (N, 5): xc, yc, width, height, degrees; see `overlay_instances`."""
        return self.overlay_instances(boxes=boxes, labels=labels, assigned_colors=assigned_colors)

    def draw_and_connect_keypoints(self, keypoints: Any, *, color: Any = "red") -> VisImage:
        """Draw the keypoints (K, 3) of one object, and the lines that the metadata has between them."""
        points = _rows(keypoints, 2)
        draw_keypoints(
            self.output, points, self.metadata, as_color(color), lambda value: value > _KEYPOINT_THRESHOLD
        )
        return self.output

    # -- single things

    def draw_text(
        self,
        text: str,
        position: Sequence[float],
        *,
        font_size: float | None = None,
        color: Any = "g",
        horizontal_alignment: Literal["left", "center", "right"] = "center",
        rotation: float = 0,
    ) -> VisImage:
        """Write below a point (x, y); the size is in pixels of the result, the rotation in degrees
        counter-clockwise.
        """
        self.output.text(
            text, position, as_color(color), size=font_size, align=horizontal_alignment, rotation=rotation
        )
        return self.output

    def draw_box(
        self, box_coord: Sequence[float], alpha: float = 0.5, edge_color: Any = "g", line_style: str = "-"
    ) -> VisImage:
        """Draw the outline of a box, XYXY; any line style but "-" is dashed."""
        self.output.box(box_coord, as_color(edge_color), dashed=line_style not in _SOLID, alpha=alpha)
        return self.output

    def draw_rotated_box_with_label(
        self,
        rotated_box: Sequence[float],
        alpha: float = 0.5,
        edge_color: Any = "g",
        line_style: str = "-",
        label: str | None = None,
    ) -> VisImage:
        """Draw a box (xc, yc, width, height, degrees counter-clockwise), whose top is dashed, and a label."""
        color, box = as_color(edge_color), [float(value) for value in rotated_box]
        self.output.rotated_box(box, color, dashed=line_style not in _SOLID, alpha=alpha)
        if label is not None:
            self.output.label(label, hull(box), color)
        return self.output

    def draw_circle(self, circle_coord: Sequence[float], color: Any, radius: float = 3) -> VisImage:
        """Draw a filled circle around (x, y); its radius is in pixels of the image."""
        self.output.dot(circle_coord, as_color(color), radius=radius * self.output.scale)
        return self.output

    def draw_line(
        self,
        x_data: Sequence[float],
        y_data: Sequence[float],
        color: Any,
        linestyle: str = "-",
        linewidth: float | None = None,
    ) -> VisImage:
        """Draw lines from point to point; their width is in pixels of the image.

        Raises:
            ValueError: not as many x as y.
        """
        points = list(zip(x_data, y_data, strict=True))
        width = None if linewidth is None else linewidth * self.output.scale
        for start, end in pairwise(points):
            self.output.line(start, end, as_color(color), width=width, dashed=linestyle not in _SOLID)
        return self.output

    def draw_binary_mask(
        self,
        binary_mask: Any,
        color: Any = None,
        *,
        edge_color: Any = None,
        text: str | None = None,
        alpha: float = 0.5,
        area_threshold: int = 10,
    ) -> VisImage:
        """Draw a mask (H, W) with its outline, and a text in it; with fewer pixels than a threshold, nothing.

        Args:
            binary_mask: (H, W), bool, or 0 and others.
            color: of the region; None takes another one each time.
            edge_color: of the outline, if it is another.
            text: written where most of the mask is.
            alpha: from 0, transparent, to 1.
            area_threshold: masks of fewer pixels are left out.
        """
        mask = self._mask(binary_mask) != 0
        if mask.sum() < max(area_threshold, 1):
            return self.output
        ink = self._color_or_next(color)
        edge = None if edge_color is None else as_color(edge_color)
        self.output.mask(mask, ink, alpha=alpha, edge=edge)
        if text:
            label_region(self.output, mask, text, ink)
        return self.output

    def draw_soft_mask(
        self, soft_mask: Any, color: Any = None, *, text: str | None = None, alpha: float = 0.5
    ) -> VisImage:
        """Tint by a mask (H, W) of scores 0..1, the higher the stronger; text stands above 0.5."""
        mask = self._mask(soft_mask).astype(np.float64).clip(0, 1)
        ink = self._color_or_next(color)
        self.output.tint(mask, ink, alpha=alpha)
        if text:
            label_region(self.output, mask > 0.5, text, ink)
        return self.output

    def draw_polygon(self, segment: Any, color: Any, edge_color: Any = None, alpha: float = 0.5) -> VisImage:
        """Draw a filled polygon of points (K, 2); its outline is of its colour if no other is given."""
        points = np.asarray(segment, dtype=np.float64).reshape(-1, 2)
        fill = as_color(color)
        edge = fill if edge_color is None else as_color(edge_color)
        self.output.polygon(points.tolist(), edge, fill=fill, alpha=alpha)
        return self.output

    def _color_or_next(self, color: Any) -> Color:
        if color is not None:
            return as_color(color)
        self._uncoloured += 1
        return colormap(self._uncoloured)[-1]

    def _mask(self, mask: Any) -> np.ndarray:
        values = np.asarray(mask.detach().cpu() if isinstance(mask, Tensor) else mask)
        if values.shape != self.output.size:
            raise ValueError(f"a mask of shape {values.shape} for an image of {self.output.size}")
        return values


def _rows(value: Any, dims: int) -> np.ndarray:
    """Return boxes or keypoints as an array of so many dimensions."""
    tensor = getattr(value, "tensor", value)
    array = np.asarray(tensor.detach().cpu() if isinstance(tensor, Tensor) else tensor, dtype=np.float32)
    return array.reshape(0, 4) if dims == 2 and array.size == 0 else array
