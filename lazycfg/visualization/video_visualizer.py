"""Objects of a video in colours that stay the same from frame to frame."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures import Boxes, Instances
from lazycfg.tracking import BBoxIOUTracker
from lazycfg.visualization.canvas import Canvas
from lazycfg.visualization.colors import Color, ColorMode, colormap
from lazycfg.visualization.drawing import draw_instances, draw_panoptic_seg, draw_sem_seg
from lazycfg.visualization.masks import bounds, mask_windows

__all__ = ["VideoVisualizer"]

_KEPT = 8  # frames for which the colour of an object that is out of sight is not given to another


class _ByClass(BBoxIOUTracker):
    """Boxes of one class that overlap are one object."""

    def overlaps(self, instances: Instances, previous: Instances) -> np.ndarray:
        """Return the IoU (N, M) of boxes of one class, else 0."""
        same = instances.pred_classes[:, None] == previous.pred_classes
        return np.where(same.numpy(), super().overlaps(instances, previous), 0.0)


class VideoVisualizer:
    """Draw the frames of a video, one after the other, each object in a colour that it keeps.

    Objects are recognised by their ``ID``, as trackers of `lazycfg.tracking` give it. Where there is none, a
    box that overlaps one of the same class in the frames before by an IoU of 0.6 or more is the same object;
    objects without boxes have the boxes of their masks. A field ``COLOR`` of `Instances` overrides both.

    ::

        visualizer = VideoVisualizer(dataset.metadata)
        for frame in video:
            drawn = visualizer.draw_instance_predictions(frame, predictor(frame)).get_image()

    Args:
        metadata: class names, colours, keypoint connections.
        instance_mode: IMAGE gives each object a colour; SEGMENTATION each class; IMAGE_BW is IMAGE on grey.
        scale: size of the results relative to the frames; None: as in `draw_instances`.
        period_threshold: objects that were seen in no more frames (``ID_period``) are not drawn.
        font: a font file for the labels, as in `draw_instances`.
    """

    def __init__(
        self,
        metadata: Any = None,
        instance_mode: ColorMode = ColorMode.IMAGE,
        *,
        scale: float | None = 1.0,
        period_threshold: int = 0,
        font: str | os.PathLike[str] | None = None,
    ) -> None:
        self.metadata = metadata
        self.instance_mode = ColorMode(instance_mode)
        self.scale = scale
        self.period_threshold = period_threshold
        self.font = font
        self._tracker: _ByClass | None = None
        self._colors: dict[Any, tuple[int, int]] = {}  # object -> number of its colour, frame it was last in
        self._frame = 0

    def draw_instance_predictions(
        self,
        frame: Any,
        predictions: Instances,
        *,
        score_threshold: float = 0.0,
        max_instances: int | None = None,
    ) -> Canvas:
        """Draw the objects of the next frame; where there are masks, boxes are left out.

        Args:
            frame: RGB, as `draw_instances` takes it.
            predictions: in pixels of the frame.
            score_threshold, max_instances: as in `draw_instances`.
        """
        canvas = self._next_frame(frame)
        colors: Sequence[Any] | None = None
        if predictions.has("COLOR"):
            colors = predictions.COLOR
        elif self.instance_mode is not ColorMode.SEGMENTATION:
            colors = self._colors_of(predictions)
        if predictions.has("ID_period"):
            shown = [i for i, period in enumerate(predictions.ID_period) if period > self.period_threshold]
            predictions = predictions[shown]
            colors = None if colors is None else [colors[i] for i in shown]
        draw_instances(
            canvas,
            predictions,
            self.metadata,
            score_threshold=score_threshold,
            max_instances=max_instances,
            mode=self.instance_mode,
            colors=colors,
            alpha=0.5 if self.instance_mode is ColorMode.IMAGE else None,
            outlines=not predictions.has("pred_masks"),
        )
        return canvas

    def draw_sem_seg(self, frame: Any, sem_seg: Any, area_threshold: int | None = None) -> Canvas:
        """Draw the class (H, W) of every pixel of the next frame."""
        canvas = self._next_frame(frame)
        draw_sem_seg(canvas, sem_seg, self.metadata, area_threshold=area_threshold or 0)
        return canvas

    def draw_panoptic_seg_predictions(
        self,
        frame: Any,
        panoptic_seg: Any,
        segments_info: Sequence[Mapping[str, Any]],
        area_threshold: int | None = None,
        alpha: float = 0.5,
    ) -> Canvas:
        """Draw segments (H, W) of the next frame; things keep their colour, stuff has that of its class."""
        canvas = self._next_frame(frame)
        segments = np.asarray(panoptic_seg.cpu() if isinstance(panoptic_seg, Tensor) else panoptic_seg)
        things = [index for index, segment in enumerate(segments_info) if segment["isthing"]]
        found = Instances(canvas.size)
        found.pred_masks = torch.from_numpy(
            np.stack([segments == segments_info[index]["id"] for index in things])
            if things
            else np.zeros((0, *canvas.size), dtype=bool)
        )
        found.pred_classes = torch.tensor(
            [segments_info[i]["category_id"] for i in things], dtype=torch.int64
        )
        colors: list[Color | None] = [None] * len(segments_info)
        for index, color in zip(things, self._colors_of(found), strict=True):
            colors[index] = color
        draw_panoptic_seg(
            canvas,
            segments,
            segments_info,
            self.metadata,
            alpha=alpha,
            area_threshold=area_threshold or 0,
            colors=colors,
        )
        return canvas

    def _next_frame(self, frame: Any) -> Canvas:
        self._frame += 1
        return Canvas(frame, self.scale, font=self.font)

    def _colors_of(self, predictions: Instances) -> list[Color]:
        ids = predictions.ID if predictions.has("ID") else self._recognised(predictions)
        here = set(ids)
        self._colors = {
            each: (number, seen)
            for each, (number, seen) in self._colors.items()
            if self._frame - seen <= _KEPT or each in here
        }
        taken = {number for number, _ in self._colors.values()}
        free = (number for number in count() if number not in taken)
        for each in ids:
            number = self._colors[each][0] if each in self._colors else next(free)
            self._colors[each] = number, self._frame
        palette = colormap(1 + max((number for number, _ in self._colors.values()), default=0))
        return [palette[self._colors[each][0]] for each in ids]

    def _recognised(self, predictions: Instances) -> list[int]:
        """Return a number for each object, by the boxes of the frames before."""
        height, width = predictions.image_size
        seen = Instances((height, width))
        if predictions.has("pred_boxes"):
            seen.pred_boxes = predictions.pred_boxes.to("cpu")
        elif predictions.has("pred_masks"):
            windows = mask_windows(predictions.pred_masks, (height, width))
            boxes = [(0.0,) * 4 if window is None else bounds(window) for window in windows]
            seen.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))
        else:
            return list(range(len(predictions)))
        classes = predictions.pred_classes if predictions.has("pred_classes") else torch.zeros(len(seen))
        seen.pred_classes = classes.to("cpu", torch.int64)
        if self._tracker is None or (self._tracker.video_height, self._tracker.video_width) != (
            height,
            width,
        ):
            self._tracker = _ByClass(
                video_height=height,
                video_width=width,
                max_num_instances=1_000_000,
                max_lost_frame_count=_KEPT,
                min_box_rel_dim=0,
                min_instance_period=0,
                track_iou_threshold=0.6,
            )
        return self._tracker.update(seen).ID[: len(predictions)]
