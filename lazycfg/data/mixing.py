"""Augmentations that make one image of several: Mosaic, MixUp, CopyPaste.

They stand among the others in `DatasetMapper(augmentations=[...])`. Which images they take, and all else, is
drawn from the generator of the sample, so that a run can be repeated and resumed with any number of workers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures import BoxMode, polygons_to_bitmask
from lazycfg.structures.rle import decode_rle

from .datasets.contours import mask_to_polygons
from .detection_utils import Annotation, MaskFormat, transform_annotations
from .transforms import (
    AugInput,
    Augmentation,
    CropTransform,
    PadTransform,
    ResizeTransform,
    Transform,
)
from .transforms.augmentation import as_augmentation
from .transforms.checks import check_number, check_probability, check_range, check_size
from .transforms.pixels import ChannelOrder, in_float
from .transforms.transform import image_size

DrawOther = Callable[[np.random.Generator], "Sample"]


@dataclass(frozen=True)
class AnnotationForms:
    """In which form the annotations of a sample are wanted; see `transform_annotations`."""

    mask_format: MaskFormat = "polygon"
    rotated: bool = False
    keypoint_hflip_indices: np.ndarray | None = None


@dataclass(frozen=True)
class Sample:
    """An image with its annotations before they become `Instances`. Samples are not changed, but replaced.

    Attributes:
        image: (C, H, W), in `channel_order`.
        annotations: as in a record; a "segmentation" may be an array (H, W), too.
        sem_seg: labels (H, W), or None.
        channel_order: "RGB", "BGR" or "L".
        forms: of the annotations.
        name: of the record, for messages.
    """

    image: Tensor
    annotations: list[Annotation]
    sem_seg: Tensor | None = None
    channel_order: ChannelOrder = "RGB"
    forms: AnnotationForms = AnnotationForms()
    name: str = ""

    @property
    def image_size(self) -> tuple[int, int]:
        """Return (height, width)."""
        return image_size(self.image)

    def aug_input(self) -> AugInput:
        """Return what an augmentation may look at."""
        boxes = boxes_of(self.annotations)
        return AugInput(self.image, boxes=boxes, sem_seg=self.sem_seg, channel_order=self.channel_order)

    def augmented(self, augmentation: Augmentation, rng: np.random.Generator) -> Sample:
        """Return the sample after an augmentation of one image."""
        aug_input = self.aug_input()
        return self._after(aug_input, augmentation(aug_input, rng))

    def moved(self, transform: Transform) -> Sample:
        """Return the sample after a transform."""
        aug_input = self.aug_input()
        aug_input.transform(transform)
        return self._after(aug_input, transform)

    def _after(self, aug_input: AugInput, transform: Transform) -> Sample:
        image = torch.as_tensor(aug_input.image)
        size = image_size(image)
        moved = transform_annotations(
            self.annotations,
            transform,
            size,
            keypoint_hflip_indices=self.forms.keypoint_hflip_indices,
            mask_format=self.forms.mask_format,
            rotated=self.forms.rotated,
        )
        sem_seg = None if aug_input.sem_seg is None else torch.as_tensor(aug_input.sem_seg)
        kept = [a for a in moved if _is_left(a, size)]
        for annotation in kept:
            annotation.pop("area", None)  # that of the object before
        return replace(self, image=image, annotations=kept, sem_seg=sem_seg)

    def placed(self, x: int, y: int, canvas: tuple[int, int], fill: float, seg_fill: int) -> Sample:
        """Return the sample on a canvas of (height, width), its upper left corner at (x, y), cut where it
        reaches out.

        Rotated boxes are not cut: they are kept whole where their middle is on the canvas.
        """
        (h, w), (height, width) = self.image_size, canvas
        x0, y0, x1, y1 = max(0, -x), max(0, -y), min(w, width - x), min(h, height - y)
        result = self
        if (x0, y0, x1, y1) != (0, 0, w, h):
            result = result.moved(CropTransform(x0, y0, x1 - x0, y1 - y0, w, h))
        left, top = x + x0, y + y0
        right, bottom = width - left - (x1 - x0), height - top - (y1 - y0)
        if (left, top, right, bottom) == (0, 0, 0, 0):
            return result
        return result.moved(PadTransform(left, top, right, bottom, x1 - x0, y1 - y0, fill, seg_fill))

    def fitted(self, size: tuple[int, int]) -> Sample:
        """Return the sample scaled to fit into (height, width), its aspect ratio kept."""
        h, w = self.image_size
        scale = min(size[0] / h, size[1] / w)
        new_h, new_w = (max(1, min(most, round(s * scale))) for s, most in zip((h, w), size, strict=True))
        return self.moved(ResizeTransform(h, w, new_h, new_w))


class MultiImageAugmentation(ABC):
    """Base of augmentations that combine several images into one, with probability `prob`."""

    needs_masks = False
    """Whether objects must have masks, even for a mapper that gives none."""

    def __init__(self, prob: float) -> None:
        self.prob = check_probability(type(self).__name__, "prob", prob)

    def __call__(self, sample: Sample, draw_other: DrawOther, rng: np.random.Generator) -> Sample:
        """Return the mixed sample, or with probability 1 - `prob` the sample itself.

        Args:
            draw_other: `draw_other(rng)` gives another sample, evenly drawn from the dataset.
            rng: all that is random comes from it.
        """
        return self.mix(sample, draw_other, rng) if rng.random() < self.prob else sample

    @abstractmethod
    def mix(self, sample: Sample, draw_other: DrawOther, rng: np.random.Generator) -> Sample:
        """Return a new sample made of `sample` and of others."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({fields})"


class SampleAugmentations:
    """Augmentations of one image and of several, applied to a sample in turn."""

    def __init__(self, augs: Sequence[Augmentation | Transform | MultiImageAugmentation]) -> None:
        if not isinstance(augs, list | tuple):
            raise TypeError(f"expected a list of augmentations, got {type(augs).__name__}: {augs!r}")
        self.augs = [a if isinstance(a, MultiImageAugmentation) else as_augmentation(a) for a in augs]

    def __call__(self, sample: Sample, draw_other: DrawOther, rng: np.random.Generator) -> Sample:
        """Return the sample after all of them."""
        for aug in self.augs:
            if isinstance(aug, MultiImageAugmentation):
                sample = aug(sample, draw_other, rng)
            else:
                sample = sample.augmented(aug, rng)
        return sample

    @property
    def needs_masks(self) -> bool:
        """Return whether any of them needs masks."""
        return any(getattr(aug, "needs_masks", False) for aug in self.augs)

    def __len__(self) -> int:
        return len(self.augs)

    def __repr__(self) -> str:
        return repr(self.augs)


class Mosaic(MultiImageAugmentation):
    """Put four images around a point (Bochkovskiy et al., "YOLOv4", 2020).

    Each is scaled to fit into a tile of `size`, and cut where it reaches out of the canvas of twice that
    size. `RandomAffine(size=...)` after it brings the canvas back to one tile.

    Args:
        size: (height, width) of a tile, or one number for both.
        center_range: (lowest, highest) place of the point where the images meet, in tiles, 0 to 2.
        fill, seg_fill: value of what no image covers, and of its label.
        prob: of mixing; otherwise the image stays as it is, whatever its size.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        center_range: Sequence[float] = (0.5, 1.5),
        fill: float = 114,
        seg_fill: int = 255,
        prob: float = 1.0,
    ) -> None:
        super().__init__(prob)
        self.size = check_size("Mosaic", "size", size)
        self.center_range = check_range("Mosaic", "center_range", center_range, 0.05, 1.95)
        self.fill = check_number("Mosaic", "fill", fill)
        self.seg_fill = seg_fill

    def mix(self, sample: Sample, draw_other: DrawOther, rng: np.random.Generator) -> Sample:
        """Return four samples on one canvas; the first is at the upper left."""
        height, width = self.size
        canvas = (2 * height, 2 * width)
        x, y = (
            min(max(1, round(side * float(rng.uniform(*self.center_range)))), 2 * side - 1)
            for side in (width, height)
        )
        parts = []
        for number, part in enumerate([sample, *(draw_other(rng) for _ in range(3))]):
            part = part.fitted(self.size)
            h, w = part.image_size
            part = part.placed(
                x - w if number % 2 == 0 else x, y - h if number < 2 else y, canvas, self.fill, self.seg_fill
            )
            parts.append(part)
        check_alike("Mosaic", parts)
        image = parts[0].image.clone()
        labels = parts[0].sem_seg
        labels = None if labels is None else labels.to(torch.int32, copy=True)  # uint8 is too small for some
        for number, part in enumerate(parts[1:], start=1):
            rows = slice(0, y) if number < 2 else slice(y, None)
            columns = slice(0, x) if number % 2 == 0 else slice(x, None)
            image[:, rows, columns] = part.image[:, rows, columns]
            if labels is not None and part.sem_seg is not None:
                labels[rows, columns] = part.sem_seg[rows, columns]
        annotations = [a for part in parts for a in part.annotations]
        return replace(sample, image=image, annotations=annotations, sem_seg=labels)


class MixUp(MultiImageAugmentation):
    """Blend with another image, which is scaled to fit, and keep the objects of both
    (Zhang et al., "mixup", 2018, and "Bag of Freebies for Training Object Detection", 2019).

    Args:
        alpha: the share of each image is drawn from the distribution Beta(alpha, alpha): near one half for a
            large number.
        others: augmentations of the other image; `Mosaic` and the like may be among them.
        fill: value of what the other image does not cover.
        prob: of mixing.
    """

    def __init__(
        self,
        *,
        alpha: float = 32.0,
        others: Sequence[Augmentation | Transform | MultiImageAugmentation] = (),
        fill: float = 114,
        prob: float = 0.5,
    ) -> None:
        super().__init__(prob)
        self.alpha = check_number("MixUp", "alpha", alpha, 1e-3)
        self.others = SampleAugmentations(others)
        self.needs_masks = self.others.needs_masks
        self.fill = check_number("MixUp", "fill", fill)

    def mix(self, sample: Sample, draw_other: DrawOther, rng: np.random.Generator) -> Sample:
        """Return the blend of two samples, as large as the first.

        Raises:
            ValueError: they have maps of labels, which cannot be blended.
        """
        share = float(rng.beta(self.alpha, self.alpha))
        other = self.others(draw_other(rng), draw_other, rng)
        if sample.sem_seg is not None or other.sem_seg is not None:
            raise ValueError(
                f"MixUp blends images, and maps of labels (sem_seg of {sample.name}) cannot be blended: use "
                "Mosaic or CopyPaste"
            )
        size = sample.image_size
        other = other.fitted(size).placed(0, 0, size, self.fill, 255)
        check_alike("MixUp", [sample, other])
        second = other.image.to(torch.float32) * (1 - share)
        image = in_float(lambda first: first * share + second, sample.image)
        return replace(sample, image=image, annotations=[*sample.annotations, *other.annotations])


class CopyPaste(MultiImageAugmentation):
    """Paste objects of another image (Ghiasi et al., "Simple Copy-Paste", 2021). Needs masks.

    What they hide is taken out of the masks and boxes of the objects below (not of rotated boxes), hidden
    keypoints get the visibility 1, and objects that are all but hidden are dropped. Crowd regions are never
    pasted. Masks are needed even where the model is trained on boxes only.

    Args:
        others: augmentations of the other image, such as a flip and large-scale jitter.
        select_prob: of pasting each object.
        min_visible: drop objects of which a smaller part than this stays visible.
        prob: of mixing.
    """

    needs_masks = True

    def __init__(
        self,
        *,
        others: Sequence[Augmentation | Transform | MultiImageAugmentation] = (),
        select_prob: float = 0.5,
        min_visible: float = 0.1,
        prob: float = 0.5,
    ) -> None:
        super().__init__(prob)
        self.others = SampleAugmentations(others)
        self.select_prob = check_probability("CopyPaste", "select_prob", select_prob)
        self.min_visible = check_probability("CopyPaste", "min_visible", min_visible)

    def mix(self, sample: Sample, draw_other: DrawOther, rng: np.random.Generator) -> Sample:
        """Return the sample with objects of another one on it, as large as before.

        Raises:
            ValueError: an object has no mask.
        """
        other = self.others(draw_other(rng), draw_other, rng)
        check_alike("CopyPaste", [sample, other])
        (h, w), (height, width) = other.image_size, sample.image_size
        x, y = (
            int(np.floor(free * u)) for free, u in zip((width - w, height - h), rng.random(2), strict=True)
        )
        other = other.placed(x, y, (height, width), 0, 255)
        chosen = rng.random(len(other.annotations)) < self.select_prob
        pasted = [a for a, c in zip(other.annotations, chosen, strict=True) if c and not a.get("iscrowd", 0)]
        over = np.zeros((height, width), dtype=bool)
        for annotation in pasted:
            over |= mask_of(annotation, (height, width), other.name)
        if not over.any():
            return sample
        mask = torch.from_numpy(over)
        image = torch.where(mask, other.image, sample.image)
        sem_seg = sample.sem_seg
        if sem_seg is not None and other.sem_seg is not None:
            sem_seg = torch.where(mask, other.sem_seg, sem_seg)
        left = [self._below(a, over, sample) for a in sample.annotations]
        annotations = [a for a in left if a is not None] + pasted
        return replace(sample, image=image, annotations=annotations, sem_seg=sem_seg)

    def _below(self, annotation: Annotation, over: np.ndarray, sample: Sample) -> Annotation | None:
        """Return an annotation without what is hidden under pasted objects; None if hardly any is left."""
        mask = mask_of(annotation, over.shape, sample.name)
        visible = mask & ~over
        count = int(visible.sum())
        result = dict(annotation)
        if "keypoints" in annotation:
            points = np.array(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
            columns, rows = (points[:, i].astype(np.int64).clip(0, over.shape[1 - i] - 1) for i in (0, 1))
            points[:, 2] = np.where(over[rows, columns], np.minimum(points[:, 2], 1), points[:, 2])
            result["keypoints"] = points
        if count == int(mask.sum()):
            return result
        if count == 0 or count < self.min_visible * mask.sum():
            return None
        result.pop("area", None)
        result["segmentation"] = visible
        if sample.forms.mask_format == "polygon":
            result["segmentation"] = [p.reshape(-1) for p in mask_to_polygons(visible)]
            if not result["segmentation"]:
                return None
        if not sample.forms.rotated:
            box = np.array(
                BoxMode.convert(list(annotation["bbox"]), annotation["bbox_mode"], BoxMode.XYXY_ABS)
            )
            rows, columns = np.nonzero(visible.any(axis=1))[0], np.nonzero(visible.any(axis=0))[0]
            low = np.maximum(box[:2], [columns[0], rows[0]])
            high = np.minimum(box[2:], [columns[-1] + 1, rows[-1] + 1])
            result["bbox"], result["bbox_mode"] = np.concatenate((low, high)), BoxMode.XYXY_ABS
        return result


def boxes_of(annotations: Sequence[Annotation]) -> np.ndarray:
    """Return the boxes (N, 4) XYXY float64 of annotations."""
    boxes = [BoxMode.convert(list(a["bbox"]), a["bbox_mode"], BoxMode.XYXY_ABS) for a in annotations]
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def mask_of(annotation: Annotation, size: tuple[int, ...], name: str) -> np.ndarray:
    """Return the mask (H, W) bool of an annotation in an image of (height, width).

    Raises:
        ValueError: it has none.
    """
    segmentation = annotation.get("segmentation")
    if segmentation is None:
        raise ValueError(f"CopyPaste needs the masks of objects, and one of {name} has no 'segmentation'")
    if isinstance(segmentation, dict):
        return decode_rle(segmentation).astype(bool)
    if isinstance(segmentation, np.ndarray):
        return segmentation.astype(bool)
    polygons = [np.asarray(p, dtype=np.float64).reshape(-1) for p in segmentation]
    if not polygons:
        return np.zeros(size, dtype=bool)
    return np.asarray(polygons_to_bitmask(polygons, size[0], size[1])).astype(bool)


def check_alike(owner: str, samples: Sequence[Sample]) -> None:
    """Raise ValueError where samples differ in what cannot be mixed."""
    for what, of in (
        ("a map of labels (sem_seg)", lambda s: s.sem_seg is not None),
        ("number of channels", lambda s: len(s.image)),
        ("type of pixels", lambda s: s.image.dtype),
    ):
        other = next((s for s in samples if of(s) != of(samples[0])), None)
        if other is not None:
            raise ValueError(
                f"{owner} mixes images that are alike; {what}: {of(samples[0])} of {samples[0].name}, "
                f"{of(other)} of {other.name}"
            )


def _is_left(annotation: Annotation, size: tuple[int, int]) -> bool:
    """Return whether any of a moved object is in the image of (height, width)."""
    box = annotation["bbox"]
    if annotation["bbox_mode"] == BoxMode.XYWHA_ABS:
        inside = 0 <= box[0] <= size[1] and 0 <= box[1] <= size[0]
        return bool(inside and box[2] > 0 and box[3] > 0)
    return bool(box[2] > box[0] and box[3] > box[1])
