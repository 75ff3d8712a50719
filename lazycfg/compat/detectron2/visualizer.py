"""``detectron2.utils.visualizer`` with the metadata of the catalog."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from lazycfg import visualization
from lazycfg.data import Metadata as OurMetadata
from lazycfg.structures import BitMasks, Instances
from lazycfg.visualization import ColorMode as ColorMode
from lazycfg.visualization import VisImage as VisImage
from lazycfg.visualization.colors import as_color
from lazycfg.visualization.overlay import label_region

from .catalogs import as_metadata

__all__ = ["ColorMode", "GenericMask", "VideoVisualizer", "VisImage", "Visualizer", "colormap"]


class _Metadata(OurMetadata):
    """Ours, read as the catalog's: with `get`, and what else was given as attributes."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or `default` where nothing was said."""
        value = getattr(self, key, None)
        return default if value is None or value == () else value

    def __getattr__(self, key: str) -> Any:
        extra = vars(self).get("extra", {})
        if key in extra:
            return extra[key]
        raise AttributeError(f"nothing is known of {key!r} in the metadata")


def _readable(metadata: Any) -> _Metadata:
    ours = as_metadata(metadata)
    return _Metadata(**{field.name: getattr(ours, field.name) for field in fields(ours)})


class Visualizer(visualization.Visualizer):
    """Draw on an RGB image; see `lazycfg.visualization.Visualizer`.

    Subclasses find what they are used to: ``_convert_boxes``, ``_convert_masks``, ``_jitter``...

    Args:
        img_rgb: (H, W, C), numbers 0 to 255 of any type.
        metadata: of the catalog; None for none.
        font_size_scale: of all labels.
    """

    def __init__(
        self,
        img_rgb: Any,
        metadata: Any = None,
        scale: float = 1.0,
        instance_mode: ColorMode = ColorMode.IMAGE,
        font_size_scale: float = 1.0,
    ) -> None:
        array = img_rgb.cpu().numpy() if isinstance(img_rgb, torch.Tensor) else np.asarray(img_rgb)
        self.img = np.ascontiguousarray(array.clip(0, 255).astype(np.uint8))
        super().__init__(self.img, _readable(metadata), scale, instance_mode)
        self.output.font_size = max(1, round(self.output.font_size * font_size_scale))
        self.cpu_device = torch.device("cpu")
        self._default_font_size = self.output.font_size
        self._instance_mode = self.instance_mode

    def draw_instance_predictions(
        self, predictions: Instances, *, score_threshold: float = 0.0, max_instances: int | None = None
    ) -> VisImage:
        """Draw boxes, classes, scores, masks and keypoints: tensors, arrays, and masks as `GenericMask` takes
        them.
        """
        return super().draw_instance_predictions(
            _of_tensors(predictions), score_threshold=score_threshold, max_instances=max_instances
        )

    def overlay_instances(
        self,
        *,
        boxes: Any = None,
        labels: Any = None,
        masks: Any = None,
        keypoints: Any = None,
        assigned_colors: Any = None,
        alpha: float = 0.5,
    ) -> VisImage:
        """Draw N objects, see `lazycfg.visualization.Visualizer`; masks may be `GenericMask`."""
        if isinstance(masks, Sequence):
            masks = [mask.mask if isinstance(mask, GenericMask) else mask for mask in masks]
        return super().overlay_instances(
            boxes=boxes,
            labels=labels,
            masks=masks,
            keypoints=keypoints,
            assigned_colors=assigned_colors,
            alpha=alpha,
        )

    def _convert_boxes(self, boxes: Any) -> np.ndarray:
        return _array(boxes)

    def _convert_keypoints(self, keypoints: Any) -> np.ndarray:
        return _array(keypoints)

    def _convert_masks(self, masks_or_polygons: Any) -> list[GenericMask]:
        given = getattr(masks_or_polygons, "polygons", masks_or_polygons)
        given = given if isinstance(given, list) else _array(given)
        return [m if isinstance(m, GenericMask) else GenericMask(m, *self.output.size) for m in given]

    def _create_grayscale_image(self, mask: Any = None) -> np.ndarray:
        """Return the image in grey, but for the pixels of a mask (H, W)."""
        grey = np.repeat(self.img.mean(axis=2, keepdims=True), 3, axis=2)
        return grey if mask is None else np.where(np.asarray(mask)[..., None], self.img, grey)

    def _jitter(self, color: Any) -> tuple[float, ...]:
        """Return a colour near another one, of numbers 0..1; numpy's global generator draws it."""
        step = np.random.normal(size=3)
        return tuple((np.asarray(color) + 0.5 * step / np.linalg.norm(step)).clip(0, 1).tolist())

    def _change_color_brightness(self, color: Any, brightness_factor: float) -> tuple[float, ...]:
        """Return a lighter (factor above 0, up to 1) or darker colour, of numbers 0..1."""
        hue, light, saturation = colorsys.rgb_to_hls(*(value / 255 for value in as_color(color)))
        return colorsys.hls_to_rgb(hue, min(max(light * (1 + brightness_factor), 0.0), 1.0), saturation)

    def _draw_text_in_mask(self, binary_mask: Any, text: str, color: Any) -> None:
        label_region(self.output, np.asarray(binary_mask) != 0, text, as_color(color))


def _array(value: Any) -> np.ndarray:
    tensor = getattr(value, "tensor", value)
    return np.asarray(tensor.detach().cpu() if isinstance(tensor, torch.Tensor) else tensor)


class VideoVisualizer(visualization.VideoVisualizer):
    """Draw the frames of a video; see `lazycfg.visualization.VideoVisualizer`."""

    def __init__(self, metadata: Any, instance_mode: ColorMode = ColorMode.IMAGE) -> None:
        super().__init__(as_metadata(metadata), instance_mode)

    def draw_instance_predictions(
        self,
        frame: Any,
        predictions: Instances,
        *,
        score_threshold: float = 0.0,
        max_instances: int | None = None,
    ) -> VisImage:
        """Draw the objects of the next frame, see `Visualizer.draw_instance_predictions`."""
        return super().draw_instance_predictions(
            frame, _of_tensors(predictions), score_threshold=score_threshold, max_instances=max_instances
        )


def _of_tensors(instances: Instances) -> Instances:
    """Return instances whose arrays, and lists of masks, are tensors."""
    made = Instances(instances.image_size)
    for name, value in instances.get_fields().items():
        if name == "pred_masks" and isinstance(value, list):
            masks = [GenericMask(mask, *instances.image_size).mask > 0 for mask in value]
            value = torch.from_numpy(np.stack(masks)) if masks else torch.zeros(0, *instances.image_size)
        made.set(name, torch.from_numpy(value) if isinstance(value, np.ndarray) else value)
    return made


class GenericMask:
    """A mask (H, W), polygons or run lengths, in any of these forms.

    Attributes:
        mask: (H, W) uint8.
        polygons: list of flat arrays.
    """

    def __init__(self, mask_or_polygons: Any, height: int, width: int) -> None:
        from lazycfg.structures.rle import decode_rle

        self.height, self.width = height, width
        given = mask_or_polygons
        if isinstance(given, dict):
            self._mask: np.ndarray = decode_rle(given).astype(np.uint8)
        elif isinstance(given, list):
            flat = [np.asarray(polygon).reshape(-1) for polygon in given]
            mask = BitMasks.from_polygon_masks([flat], height, width).tensor[0]
            self._mask = mask.numpy().astype(np.uint8)
        else:
            self._mask = np.asarray(given).astype(np.uint8)
        if self._mask.shape != (height, width):
            raise AssertionError(f"mask shape: {self._mask.shape}, target dims: {height}, {width}")

    @property
    def mask(self) -> np.ndarray:
        """Return the mask, (H, W) uint8."""
        return self._mask

    @property
    def polygons(self) -> list[np.ndarray]:
        """Return the outlines, flat arrays [x, y, ...]."""
        from lazycfg.data.datasets.contours import mask_to_polygons

        return [np.asarray(polygon).reshape(-1) for polygon in mask_to_polygons(self._mask)]

    def area(self) -> int:
        """Return the number of pixels."""
        return int(self._mask.sum())

    def bbox(self) -> np.ndarray:
        """Return the box around it, XYXY."""
        box: np.ndarray = (
            BitMasks(torch.from_numpy(self._mask[None] > 0)).get_bounding_boxes().tensor[0].numpy()
        )
        return box


class _PanopticPrediction:
    """The segments of a panoptic map, one by one, large ones first.

    Args:
        panoptic_seg: (H, W) ids of segments.
        segments_info: "id", "isthing", "category_id"... of each segment; each is given its "area".
        metadata: has no effect: `segments_info` says what is a thing.

    Raises:
        NotImplementedError: there is no `segments_info`, and ids alone say everything.
    """

    def __init__(self, panoptic_seg: torch.Tensor, segments_info: Any, metadata: Any = None) -> None:
        if segments_info is None:
            raise NotImplementedError("give segments_info: ids of segments alone do not tell their classes")
        self._seg = panoptic_seg.cpu()
        ids, areas = self._seg.unique(return_counts=True)
        order = areas.argsort(descending=True, stable=True)
        self._ids = ids[order].tolist()
        self._info = {info["id"]: info for info in segments_info}
        for number, area in zip(self._ids, areas[order].tolist(), strict=True):
            if number in self._info:
                self._info[number]["area"] = float(area)

    def non_empty_mask(self) -> np.ndarray:
        """Return (H, W) bool, where there is a segment."""
        known = torch.tensor(list(self._info), dtype=self._seg.dtype)
        return torch.isin(self._seg, known).numpy()

    def semantic_masks(self) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        """Yield the mask (H, W) and the info of each segment of stuff."""
        return self._masks(of_things=False)

    def instance_masks(self) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        """Yield the mask (H, W) and the info of each thing."""
        return self._masks(of_things=True)

    def _masks(self, *, of_things: bool) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        for number in self._ids:
            info = self._info.get(number)
            if info is not None and bool(info["isthing"]) is of_things:
                yield (self._seg == number).numpy(), info


def _create_text_labels(
    classes: Any, scores: Any, class_names: Any, is_crowd: Any = None
) -> list[str] | None:
    """Return a text for each object: its class and its score in percent."""
    labels = None
    if classes is not None:
        named = class_names is not None and len(class_names)
        labels = [str(class_names[i]) if named else str(i) for i in classes]
    if scores is not None:
        texts = [f"{float(score) * 100:.0f}%" for score in scores]
        labels = texts if labels is None else [f"{a} {b}" for a, b in zip(labels, texts, strict=True)]
    if labels is not None and is_crowd is not None:
        labels = [f"{a}|crowd" if crowd else a for a, crowd in zip(labels, is_crowd, strict=True)]
    return labels


def colormap(rgb: bool = False, maximum: int = 255) -> np.ndarray:
    """Return (N, 3) colours, RGB or BGR, up to 255 or up to 1."""
    colors = np.asarray(visualization.colormap(80), dtype=np.float32)
    colors = colors * (maximum / 255)
    return colors if rgb else colors[:, ::-1]


def random_color(rgb: bool = False, maximum: int = 255) -> np.ndarray:
    """Return one of the colours of `colormap`, drawn by numpy's global generator."""
    colors = colormap(rgb, maximum)
    color: np.ndarray = colors[np.random.randint(len(colors))]
    return color


def random_colors(n: int, rgb: bool = False, maximum: int = 255) -> list[np.ndarray]:
    """Return different colours of `colormap`, drawn by numpy's global generator."""
    colors = colormap(rgb, maximum)
    return [colors[i] for i in np.random.permutation(len(colors))[:n]]
