"""Generated images of overlapping shapes: a dataset that needs no download."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np

from lazycfg.structures import BoxMode
from lazycfg.utils.suggest import closest

from ..transforms.clip import clip_polygon_to_rectangle
from .base import Record
from .coco_export import export_coco
from .contours import mask_to_polygons
from .metadata import Metadata
from .shapes_drawing import (
    OUTLINES,
    SUPERSAMPLE,
    SYMMETRY,
    clouds,
    distant_color,
    rasterize,
    rotated_box,
    texture,
)
from .shapes_labels import LabelMaps, label_fields, stuff_classes
from .summary import DatasetSummary

KEYPOINTS = ("center", "top", "bottom", "left", "right")


@dataclass
class _Scene:
    """Who owns which supersampled pixel (0: ground, k: shape k); what the shapes are."""

    owner: np.ndarray
    polygons: list[np.ndarray]
    classes: list[int]
    angles: list[float]
    """In degrees, counter-clockwise."""


class ShapesDataset:
    """Synthetic images of textured shapes on textured backgrounds, drawn on the fly.

    Image `i` is a pure function of (seed, i). Shapes drawn later hide those drawn earlier; boxes, polygons
    and areas are of what remains visible, and every shape keeps at least `min_visible` of its area.

    Args:
        num_images: length of the dataset.
        image_size: pixels, (height, width) or one number for both.
        seed: another seed, other images; take different ones for training and testing.
        classes: names out of circle, triangle, square, pentagon, hexagon, star, cross, bar; the class ids
            follow.
        num_objects: (fewest, most) shapes in an image; fewer only where there is no room.
        radius: (smallest, largest), relative to the shorter side.
        min_visible: part of each shape that must stay visible, in (0, 1].
        max_turn: shapes are turned by at most so many degrees either way.
        keypoints: annotate the centre and the outermost points of each shape.
        rotated: annotate boxes that are turned as the shapes are (XYWHA), of the angles that look so by the
            smallest.
        label_maps: give "sem_seg" with a label for ground and each class ("semantic"), or "sem_seg" with one
            label for all shapes, "pan_seg" and "segments_info" ("panoptic"), or these with one label for each
            class and the last for the ground ("joint"); see `label_fields`.
        name: for logs and reports.
    """

    validated = True

    def __init__(
        self,
        *,
        num_images: int,
        image_size: int | tuple[int, int] = 128,
        seed: int = 0,
        classes: Sequence[str] = ("circle", "triangle", "square", "star"),
        num_objects: tuple[int, int] = (1, 5),
        radius: tuple[float, float] = (0.1, 0.24),
        min_visible: float = 0.4,
        max_turn: float = 180.0,
        keypoints: bool = False,
        rotated: bool = False,
        label_maps: LabelMaps = "none",
        name: str = "shapes",
    ) -> None:
        for c in classes:
            if c not in OUTLINES:
                raise ValueError(
                    f"ShapesDataset: no shape {c!r}; there are {', '.join(OUTLINES)}{closest(c, OUTLINES)}"
                )
        if not 0 < num_objects[0] <= num_objects[1] <= 250:
            raise ValueError(
                f"ShapesDataset: num_objects must be (fewest >= 1, most <= 250), got {num_objects}"
            )
        if not 0 < radius[0] <= radius[1] <= 0.5:
            raise ValueError(
                f"ShapesDataset: radius must be (smallest, largest) within (0, 0.5], got {radius}"
            )
        self.num_images = num_images
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.height, self.width = int(height), int(width)
        self.seed = seed
        self.classes = tuple(classes)
        self.num_objects = num_objects
        self.radius = radius
        self.min_visible = min_visible
        self.max_turn = max_turn
        self.keypoints = keypoints
        self.rotated = rotated
        if label_maps not in get_args(LabelMaps):
            raise ValueError(
                f"ShapesDataset: label_maps must be one of {get_args(LabelMaps)}, got {label_maps!r}"
            )
        self.label_maps: LabelMaps = label_maps
        self.metadata = Metadata(
            name=name,
            thing_classes=self.classes,
            thing_dataset_id_to_contiguous_id={i + 1: i for i in range(len(self.classes))},
            keypoint_names=KEYPOINTS if keypoints else (),
            keypoint_flip_map=(("left", "right"),) if keypoints else (),
            keypoint_oks_sigmas=(0.05,) * len(KEYPOINTS) if keypoints else (),
            stuff_classes=stuff_classes(label_maps, self.classes),
        )

    @property
    def num_classes(self) -> int:
        """Return the number of thing classes."""
        return len(self.classes)

    @property
    def image_sizes(self) -> np.ndarray:
        """Return (num_images, 2) height and width in pixels."""
        return np.tile(np.array([[self.height, self.width]]), (self.num_images, 1))

    @property
    def summary(self) -> DatasetSummary:
        """Counts over the first 32 images only: all are made alike."""
        summary = DatasetSummary()
        for i in range(min(32, self.num_images)):
            summary.add(self.get_annotations(i), i)
        return summary

    def __len__(self) -> int:
        return self.num_images

    def __repr__(self) -> str:
        return f"ShapesDataset({self.num_images} images of {self.height}x{self.width}, seed={self.seed})"

    def __getitem__(self, index: int) -> Record:
        """Return the record with its "image", an RGB uint8 array (height, width, 3)."""
        index = self._position(index)
        scene = self._scene(index)
        owner = scene.owner[SUPERSAMPLE // 2 :: SUPERSAMPLE, SUPERSAMPLE // 2 :: SUPERSAMPLE]
        labels = label_fields(self.label_maps, owner, scene.classes, self.num_classes)
        return {**self._record(index, scene), **labels, "image": self._paint(index, scene)}

    def get_annotations(self, index: int) -> Record:
        """Return the record without its image and label maps."""
        index = self._position(index)
        return self._record(index, self._scene(index))

    def export_coco(self, folder: str | Path) -> tuple[Path, Path]:
        """Write all images (PNG) and a COCO annotation file.

        Returns:
            (annotation file, folder of the images), which `CocoDataset` reads back to the same records.
        """
        return export_coco(self, folder)

    def _position(self, index: int) -> int:
        if not -self.num_images <= index < self.num_images:
            raise IndexError(f"index {index} is out of range for {self.num_images} images")
        return int(index) % self.num_images

    def _scene(self, index: int) -> _Scene:
        rng = np.random.default_rng([self.seed, index, 0])
        owner = np.zeros((self.height * SUPERSAMPLE, self.width * SUPERSAMPLE), dtype=np.uint8)
        scene = _Scene(owner, [], [], [])
        drawn: list[int] = []  # area of each shape, and how much of it is still visible: supersampled pixels
        visible = np.zeros(0, dtype=np.int64)
        wanted = int(rng.integers(self.num_objects[0], self.num_objects[1] + 1))
        for _ in range(wanted * 8):
            if len(drawn) == wanted:
                break
            category = int(rng.integers(len(self.classes)))
            polygon, angle = self._draw_polygon(category, rng)
            mask, top, left = rasterize(polygon, self.height, self.width)
            window = owner[top : top + mask.shape[0], left : left + mask.shape[1]]
            remaining = visible - np.bincount(window[mask], minlength=len(drawn) + 1)[1:]
            if not mask.any() or (remaining < self.min_visible * np.array(drawn)).any():
                continue
            drawn.append(int(mask.sum()))
            visible = np.append(remaining, drawn[-1])
            scene.polygons.append(polygon)
            scene.classes.append(category)
            scene.angles.append(angle)
            window[mask] = len(drawn)
        return scene

    def _draw_polygon(self, category: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """Return the outline (K, 2) in pixels, and the angle by which it is turned."""
        shorter = min(self.height, self.width)
        r = rng.uniform(*self.radius) * shorter
        angle = rng.uniform(0, 2 * math.pi)
        if self.max_turn < 180:
            angle = (angle / math.pi - 1) * math.radians(self.max_turn)
        stretch = math.sqrt(rng.uniform(0.8, 1.25))
        rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        outline = (_outline(self.classes[category]) * [stretch, 1 / stretch]) @ rotation.T * r
        margin = 0.7 * r
        middle = [rng.uniform(margin, self.width - margin), rng.uniform(margin, self.height - margin)]
        return outline + middle, -math.degrees(angle)  # the y axis points down

    def _record(self, index: int, scene: _Scene) -> Record:
        return {
            "file_name": f"{index:06d}.png",
            "image_id": index + 1,
            "height": self.height,
            "width": self.width,
            "annotations": [self._annotation(scene, k) for k in range(1, len(scene.polygons) + 1)],
        }

    def _annotation(self, scene: _Scene, k: int) -> dict[str, object]:
        polygon = scene.polygons[k - 1]
        mask, top, left = rasterize(polygon, self.height, self.width)
        visible = scene.owner[top : top + mask.shape[0], left : left + mask.shape[1]] == k
        area = int(visible.sum())
        if area == int(mask.sum()):
            rings = [np.round(clip_polygon_to_rectangle(polygon, self.width, self.height), 2)]
        else:
            rings = mask_to_polygons(visible, tolerance=1.2, min_area=SUPERSAMPLE**2 * 4)
            rings = [(r + np.array([left, top])) / SUPERSAMPLE for r in rings]
        points = np.concatenate(rings)
        low, high = points.min(axis=0), points.max(axis=0)
        annotation: dict[str, object] = {
            "bbox": [round(float(v), 2) for v in (*low, *(high - low))],
            "bbox_mode": BoxMode.XYWH_ABS,
            "category_id": scene.classes[k - 1],
            "iscrowd": 0,
            "area": area / SUPERSAMPLE**2,
            "segmentation": [[float(v) for v in r.ravel()] for r in rings],
        }
        if self.rotated:
            symmetry = SYMMETRY[self.classes[scene.classes[k - 1]]]
            box = rotated_box(points, scene.angles[k - 1], symmetry)
            annotation["bbox"] = [round(v, 2) for v in box]
            annotation["bbox_mode"] = BoxMode.XYWHA_ABS
        if self.keypoints:
            annotation["keypoints"] = self._keypoints(scene, k)
        return annotation

    def _keypoints(self, scene: _Scene, k: int) -> list[float]:
        polygon = scene.polygons[k - 1]
        outermost = [polygon[i] for i in (*polygon.argmin(axis=0)[::-1], *polygon.argmax(axis=0)[::-1])]
        top, left, bottom, right = outermost
        result: list[float] = []
        for x, y in (polygon.mean(axis=0), top, bottom, left, right):
            x, y = round(float(x) * 4) / 4, round(float(y) * 4) / 4
            if not (0 <= x < self.width and 0 <= y < self.height):
                result += [0.0, 0.0, 0]
                continue
            row, col = int(y * SUPERSAMPLE), int(x * SUPERSAMPLE)
            around = scene.owner[max(row - 4, 0) : row + 5, max(col - 4, 0) : col + 5]
            result += [x, y, 2 if (around == k).any() else 1]
        return result

    def _paint(self, index: int, scene: _Scene) -> np.ndarray:
        rng = np.random.default_rng([self.seed, index, 1])
        h, w = self.height, self.width
        ground = rng.uniform(40, 215, 3)
        image = texture(rng, h, w, ground, rng.uniform(8, 26), rng.uniform(4, 24))
        image += clouds(rng, h, w, min(h, w) / 3)[..., None] * np.float32(12)
        colors = [ground]
        for k, polygon in enumerate(scene.polygons, start=1):
            color = distant_color(rng, colors)
            colors.append(color)
            contrast, scale = rng.uniform(5, 35), rng.uniform(2.5, 8)
            low = np.maximum(np.floor(polygon.min(axis=0)).astype(int), 0)
            high = np.minimum(np.ceil(polygon.max(axis=0)).astype(int) + 1, (w, h))
            (x0, y0), (x1, y1) = low.tolist(), high.tolist()
            fill = texture(rng, y1 - y0, x1 - x0, color, contrast, scale)
            s = SUPERSAMPLE
            mine = scene.owner[y0 * s : y1 * s, x0 * s : x1 * s] == k
            alpha = mine.reshape(y1 - y0, s, x1 - x0, s).mean(axis=(1, 3), dtype=np.float32)[..., None]
            later = scene.owner[y0 * s : y1 * s, x0 * s : x1 * s] > k
            # Shapes on top are painted after, over this one: blend as if they were not there.
            hidden = later.reshape(y1 - y0, s, x1 - x0, s).mean(axis=(1, 3), dtype=np.float32)[..., None]
            alpha = alpha / np.maximum(1 - hidden, 1e-3)
            window = image[y0:y1, x0:x1]
            window += alpha * (fill - window)
        image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(1, 5))
        return np.clip(np.rint(image), 0, 255).astype(np.uint8)


@cache
def _outline(name: str) -> np.ndarray:
    return OUTLINES[name]()
