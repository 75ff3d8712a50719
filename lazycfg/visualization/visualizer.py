"""The drawing functions behind one object, for code that is used to detectron2's."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from lazycfg.structures import Instances
from lazycfg.visualization.canvas import Canvas
from lazycfg.visualization.drawing import draw_ground_truth, draw_instances, draw_panoptic_seg, draw_sem_seg

__all__ = ["VisImage", "Visualizer"]


class VisImage:
    """A finished image."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def get_image(self) -> np.ndarray:
        """Return the image, (H, W, 3) uint8, RGB."""
        return self.pixels

    def save(self, filepath: str | os.PathLike[str]) -> None:
        """Write it in the format that the suffix names."""
        Image.fromarray(self.pixels).save(filepath)

    def _repr_png_(self) -> bytes:
        """Return the image as PNG, for a notebook."""
        buffer = io.BytesIO()
        Image.fromarray(self.pixels).save(buffer, format="png")
        return buffer.getvalue()


class Visualizer:
    """Each method draws on what was drawn before and returns the image.

    Args:
        img_rgb: (H, W, 3), RGB; as the functions of this package take it.
        metadata: class names, colours, keypoint connections.
        scale: size of the result relative to the image.
        font: a font file for the labels, as in `draw_instances`.
    """

    def __init__(
        self,
        img_rgb: Any,
        metadata: Any = None,
        scale: float = 1.0,
        *,
        font: str | os.PathLike[str] | None = None,
    ) -> None:
        self.canvas = Canvas(img_rgb, scale=scale, font=font)
        self.metadata = metadata

    def draw_instance_predictions(self, predictions: Instances, *, score_threshold: float = 0.0) -> VisImage:
        """Draw boxes, classes, scores, masks and keypoints, as far as there are any."""
        return VisImage(
            draw_instances(self.canvas, predictions, self.metadata, score_threshold=score_threshold)
        )

    def draw_dataset_dict(self, dic: Mapping[str, Any]) -> VisImage:
        """Draw the annotations of a record."""
        return VisImage(draw_ground_truth(dic, self.metadata, image=self.canvas))

    def draw_sem_seg(self, sem_seg: Any, alpha: float = 0.55) -> VisImage:
        """Draw the label (H, W) of every pixel."""
        return VisImage(draw_sem_seg(self.canvas, sem_seg, self.metadata, alpha=alpha))

    def draw_panoptic_seg(
        self, panoptic_seg: Any, segments_info: Sequence[Mapping[str, Any]], alpha: float = 0.5
    ) -> VisImage:
        """Draw segments (H, W) and their classes."""
        return VisImage(
            draw_panoptic_seg(self.canvas, panoptic_seg, segments_info, self.metadata, alpha=alpha)
        )
