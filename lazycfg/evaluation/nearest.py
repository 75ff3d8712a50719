"""Detections judged by the object of their class that they overlap most, as PASCAL VOC and Cityscapes do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazycfg.evaluation.matching import Matching, highest

__all__ = ["ImageOverlaps", "NearestObjects"]


@dataclass(frozen=True)
class ImageOverlaps:
    """The detections and the objects of one image.

    Attributes:
        label, score: (D,) of the detections: class from 0.
        excused: (D,) float in [0, 1], the part of each that lies where no truth is known.
        true_label, area: (G,) of the objects.
        counts: (G,) bool, whether an object must be found; what finds another one is neither right nor wrong.
        overlaps: (D, G) intersection over union, also between classes.
    """

    label: np.ndarray
    score: np.ndarray
    excused: np.ndarray
    true_label: np.ndarray
    area: np.ndarray
    counts: np.ndarray
    overlaps: np.ndarray


@dataclass(frozen=True)
class NearestObjects:
    """The detections of a data set by falling score (of equal ones in the order of images), and its objects.

    Attributes:
        images: ids.
        image: (D,) position in `images`; `label`, `score`, `excused`: see `ImageOverlaps`.
        true_image: (G,); `true_label`, `area`, `counts`: see `ImageOverlaps`.
        pairs: (P, 2) int64, detections and objects of any class in one image that overlap.
        overlaps: (P,) of the pairs.
        nearest: (D,) int64, the object of its class that each overlaps most, the first of equal ones; -1 for
            none.
        overlap: (D,) with that object.
    """

    images: list[Any]
    image: np.ndarray
    label: np.ndarray
    score: np.ndarray
    excused: np.ndarray
    true_image: np.ndarray
    true_label: np.ndarray
    area: np.ndarray
    counts: np.ndarray
    pairs: np.ndarray
    overlaps: np.ndarray
    nearest: np.ndarray
    overlap: np.ndarray

    @classmethod
    def join(cls, parts: Mapping[Any, ImageOverlaps]) -> NearestObjects:
        """Return the detections and objects of all images, by image id."""
        each = list(parts.values())
        sizes = np.array([part.overlaps.shape for part in each], dtype=np.int64).reshape(-1, 2)
        first, first_object = (np.cumsum(sizes, axis=0) - sizes).T.tolist() if each else ((), ())
        places = [np.nonzero(part.overlaps) for part in each]
        pairs = [
            np.column_stack((rows + start, columns + start_object))
            for (rows, columns), start, start_object in zip(places, first, first_object, strict=True)
        ]
        overlaps = [part.overlaps[place] for part, place in zip(each, places, strict=True)]
        score = _join([part.score for part in each], np.float64)
        order = np.argsort(-score, kind="stable")
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        detection, thing = np.concatenate([np.zeros((0, 2), dtype=np.int64), *pairs]).T
        detection, values = rank[detection], _join(overlaps, np.float64)
        label = _join([part.label for part in each], np.int64)[order]
        true_label = _join([part.true_label for part in each], np.int64)
        same = label[detection] == true_label[thing]
        overlap, nearest = highest(detection[same], thing[same], values[same], len(order))
        return cls(
            images=list(parts),
            image=np.repeat(np.arange(len(each)), sizes[:, 0])[order],
            label=label,
            score=score[order],
            excused=_join([part.excused for part in each], np.float64)[order],
            true_image=np.repeat(np.arange(len(each)), sizes[:, 1]),
            true_label=true_label,
            area=_join([part.area for part in each], np.float64),
            counts=_join([part.counts for part in each], bool),
            pairs=np.column_stack((detection, thing)),
            overlaps=values,
            nearest=nearest,
            overlap=overlap,
        )

    def num_objects(self, num_classes: int) -> np.ndarray:
        """Return the (K,) numbers of objects that must be found."""
        return np.bincount(self.true_label[self.counts], minlength=num_classes)

    def judge(self, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Return (D,) bool, which detections are right and which are wrong.

        The first detection whose overlap with its nearest object is larger than the threshold finds it; a
        further one is wrong, as is one that overlaps nothing so much, unless more than the same part of it
        is excused. What finds an object that need not be found is neither.
        """
        near = self.overlap > threshold
        candidates = np.flatnonzero(near)
        candidates = candidates[self.counts[self.nearest[candidates]]]
        right = np.zeros(len(near), dtype=bool)
        right[candidates[np.unique(self.nearest[candidates], return_index=True)[1]]] = True
        wrong = ~near & (self.excused <= threshold)
        wrong[candidates] = True
        return right, wrong & ~right

    def matching(self, threshold: float) -> Matching:
        """Return what `judge` says in the form in which COCO's detections are explained."""
        right, wrong = self.judge(threshold)
        number = np.append(np.cumsum(self.counts) - 1, -1)  # -1 stays -1
        kept = self.counts[self.pairs[:, 1]]
        pairs = self.pairs[kept]
        return Matching(
            images=self.images,
            image=self.image,
            label=self.label,
            score=self.score,
            true_image=self.true_image[self.counts],
            true_label=self.true_label[self.counts],
            area=self.area[self.counts],
            found=number[np.where(right, self.nearest, -1)],
            ignored=~right & ~wrong,
            pairs=np.column_stack((pairs[:, 0], number[pairs[:, 1]])),
            overlaps=self.overlaps[kept],
            iou=float(np.nextafter(threshold, 1)),  # here an overlap must be larger, there as large
        )


def _join(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=dtype), *parts]).astype(dtype)
