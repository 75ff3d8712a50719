"""Which detection found which object, over a whole data set; for what average precision does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from lazycfg.evaluation.coco_checks import check_detections
from lazycfg.evaluation.coco_engines import mask_tools
from lazycfg.evaluation.coco_scores import in_order
from lazycfg.evaluation.rotated_overlaps import has_rotated_boxes
from lazycfg.structures import BoxMode, pairwise_iou_rotated

__all__ = ["Matching", "highest", "match_detections"]

_SMALLEST = 1e-9  # an overlap below it is none


@dataclass(frozen=True)
class Matching:
    """Detections by falling score (of equal ones in the order of images), objects in their order.

    Attributes:
        images: ids, in the order in which images are compared.
        image, label, score: (D,) of the detections: position in `images`, class from 0.
        true_image, true_label, area: (G,) of the objects; crowds are none of them.
        found: (D,) int64, the object that a detection found, -1 for none.
        ignored: (D,) bool, found nothing but lies in a crowd of its class, so it does not count.
        pairs: (P, 2) int64, detections and objects of any class in one image that overlap at all.
        overlaps: (P,) their intersection over union.
        iou: the least overlap with which an object counts as found.
    """

    images: list[Any]
    image: np.ndarray
    label: np.ndarray
    score: np.ndarray
    true_image: np.ndarray
    true_label: np.ndarray
    area: np.ndarray
    found: np.ndarray
    ignored: np.ndarray
    pairs: np.ndarray
    overlaps: np.ndarray
    iou: float


def match_detections(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    iou_type: Literal["bbox", "segm"] = "bbox",
    *,
    iou: float = 0.5,
    max_dets: int = 100,
) -> Matching:
    """Match detections to objects as COCO does at one threshold.

    In each image and class the best detection takes the object that it overlaps most, the next one takes of
    what is left; one that takes none and lies in a crowd does not count.

    Args:
        ground_truth: as a COCO annotation file.
        detections: as a COCO results file.
        iou_type: what to compare.
        iou: the least overlap.
        max_dets: detections of an image and class that are looked at, the best first.

    Raises:
        ValueError: the two sides do not belong together, or keypoints are to be compared.
    """
    if iou_type not in ("bbox", "segm"):
        raise ValueError(f"iou_type={iou_type!r}: expected 'bbox' or 'segm'")
    check_detections(ground_truth, detections, iou_type)
    images = in_order([image["id"] for image in ground_truth["images"]])
    places = {image_id: place for place, image_id in enumerate(images)}
    classes = {category["id"]: index for index, category in enumerate(ground_truth["categories"])}
    things = [a for a in ground_truth["annotations"] if a["category_id"] in classes]
    image, label = columns_of(detections, places, classes)
    score = np.array([d["score"] for d in detections], dtype=np.float64)
    kept = _best(image, label, score, max_dets)
    image, label, score = image[kept], label[kept], score[kept]
    true_image, true_label = columns_of(things, places, classes)
    crowd = np.array([bool(a.get("iscrowd", 0)) for a in things], dtype=bool)
    compare = comparison(ground_truth, [detections[i] for i in kept.tolist()], things, iou_type)
    pairs, overlaps = all_overlaps(image, true_image, crowd, len(images), compare)

    same = label[pairs[:, 0]] == true_label[pairs[:, 1]]
    in_crowd = crowd[pairs[:, 1]]
    enough = overlaps >= min(iou, 1 - 1e-10)
    near = same & enough & ~in_crowd
    found = greedy(pairs[near], overlaps[near], image * len(classes) + label, len(things))
    ignored = np.zeros(len(image), dtype=bool)
    ignored[pairs[same & enough & in_crowd, 0]] = True
    ignored &= found < 0
    number = np.append(np.cumsum(~crowd) - 1, -1)  # -1 stays -1
    pairs, overlaps = pairs[~in_crowd], overlaps[~in_crowd]
    area = np.array([a["area"] for a in things], dtype=np.float64)
    return Matching(
        images,
        image,
        label,
        score,
        true_image[~crowd],
        true_label[~crowd],
        area[~crowd],
        number[found],
        ignored,
        np.column_stack((pairs[:, 0], number[pairs[:, 1]])),
        overlaps,
        iou,
    )


def greedy(pairs: np.ndarray, overlaps: np.ndarray, group: np.ndarray, num_objects: int) -> np.ndarray:
    """Let the detections of each group choose, one after the other, the object that they overlap most.

    Args:
        pairs: (P, 2) int64, detections and the objects that they may take.
        overlaps: (P,).
        group: (D,) int64, which detections compete; they are in the order in which they choose.
        num_objects: how many objects there are.

    Returns:
        (D,) int64, the object of each detection, -1 for none. Of equal overlaps the last object is taken.
    """
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    turn = np.empty(len(group), dtype=np.int64)
    turn[order] = np.arange(len(group)) - np.searchsorted(ordered, ordered)
    result = np.full(len(group), -1, dtype=np.int64)
    free = np.ones(num_objects, dtype=bool)
    # All groups choose at once, as often as the longest of them has detections
    order = np.lexsort((pairs[:, 1], overlaps, pairs[:, 0], turn[pairs[:, 0]]))
    pairs = pairs[order]
    turns = turn[pairs[:, 0]]
    bounds = np.searchsorted(turns, np.arange(turns[-1] + 2) if len(turns) else [])
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        choices = pairs[start:end]
        choices = choices[free[choices[:, 1]]]
        last = np.append(choices[1:, 0] != choices[:-1, 0], True)[: len(choices)]
        chooser, chosen = choices[last].T
        result[chooser] = chosen
        free[chosen] = False
    return result


def highest(
    detection: np.ndarray, thing: np.ndarray, overlaps: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (count,) the highest overlap of each detection, 0 for none, and the first object with it."""
    value, which = np.zeros(count), np.full(count, -1, dtype=np.int64)
    order = np.lexsort((-thing, overlaps, detection))
    detection = detection[order]
    last = np.append(detection[1:] != detection[:-1], True)[: len(detection)]
    value[detection[last]] = overlaps[order][last]
    which[detection[last]] = thing[order][last]
    return value, which


def columns_of(
    records: Sequence[Mapping[str, Any]], places: Mapping[Any, int], classes: Mapping[Any, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) int64 each, the places of the images and of the classes of annotations or detections."""
    image = np.array([places[record["image_id"]] for record in records], dtype=np.int64)
    return image, np.array([classes[record["category_id"]] for record in records], dtype=np.int64)


def _best(image: np.ndarray, label: np.ndarray, score: np.ndarray, limit: int) -> np.ndarray:
    """Return the positions of the detections that count, by falling score."""
    order = np.lexsort((-score, label, image))
    group = np.cumsum(np.append(False, (np.diff(image[order]) != 0) | (np.diff(label[order]) != 0)))[
        : len(order)
    ]
    rank = np.arange(len(order)) - np.searchsorted(group, group)
    kept = order[rank < limit]
    return kept[np.lexsort((kept, image[kept], -score[kept]))]


def all_overlaps(
    image: np.ndarray, true_image: np.ndarray, crowd: np.ndarray, num_images: int, compare: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return which detections and objects of one image overlap.

    Args:
        image, true_image: (D,) and (G,), the place of the image of each.
        crowd: (G,) bool.
        num_images: how many images there are.
        compare: see `comparison`.

    Returns:
        (P, 2) int64 pairs, and their (P,) overlaps.
    """
    order, true_order = np.argsort(image, kind="stable"), np.argsort(true_image, kind="stable")
    bounds = np.searchsorted(image[order], np.arange(num_images + 1))
    true_bounds = np.searchsorted(true_image[true_order], np.arange(num_images + 1))
    pairs, overlaps = [np.zeros((0, 2), dtype=np.int64)], [np.zeros(0)]
    for place in np.flatnonzero((np.diff(bounds) > 0) & (np.diff(true_bounds) > 0)).tolist():
        found = order[bounds[place] : bounds[place + 1]]
        true = true_order[true_bounds[place] : true_bounds[place + 1]]
        table = compare(found, true, crowd[true])
        rows, columns = np.nonzero(table > _SMALLEST)
        pairs.append(np.column_stack((found[rows], true[columns])))
        overlaps.append(table[rows, columns])
    return np.concatenate(pairs), np.concatenate(overlaps)


def comparison(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    things: Sequence[Mapping[str, Any]],
    iou_type: str,
) -> Any:
    """Return a function of positions of detections (D,), objects (G,) and which of them are crowds, to the
    overlaps (D, G); with a crowd it is the part of the detection that lies in it.
    """
    if iou_type == "segm":
        tools = mask_tools()
        sizes = {image["id"]: image for image in ground_truth["images"]}
        masks = [_run_lengths(d["segmentation"], None, tools) for d in detections]
        true_masks = [_run_lengths(t["segmentation"], sizes[t["image_id"]], tools) for t in things]

        def of_masks(found: np.ndarray, true: np.ndarray, crowd: np.ndarray) -> np.ndarray:
            first, other = [masks[i] for i in found.tolist()], [true_masks[i] for i in true.tolist()]
            return np.asarray(tools.iou(first, other, crowd.tolist())).reshape(len(found), len(true))

        return of_masks
    rotated = has_rotated_boxes(detections) or has_rotated_boxes(things)
    boxes, true_boxes = _boxes(detections, rotated), _boxes(things, rotated)

    def of_boxes(found: np.ndarray, true: np.ndarray, crowd: np.ndarray) -> np.ndarray:
        a, b = boxes[found], true_boxes[true]
        area, other = a[:, 2] * a[:, 3], b[:, 2] * b[:, 3]
        if rotated:
            overlaps = pairwise_iou_rotated(torch.from_numpy(a), torch.from_numpy(b)).double().numpy()
            both = overlaps / (1 + overlaps) * (area[:, None] + other)
        else:
            low = np.maximum(a[:, None, :2], b[:, :2])
            high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[:, :2] + b[:, 2:])
            both = (high - low).clip(0).prod(axis=2)
        whole = np.where(crowd, area[:, None], area[:, None] + other - both)
        return np.divide(both, whole, out=np.zeros_like(both), where=both > 0)

    return of_boxes


def _boxes(records: Sequence[Mapping[str, Any]], rotated: bool) -> np.ndarray:
    """Return (N, 4) float64 XYWH, or (N, 5) rotated ones."""
    boxes = [list(record["bbox"]) for record in records]
    if rotated:
        boxes = [b if len(b) == 5 else BoxMode.convert(b, BoxMode.XYWH_ABS, BoxMode.XYWHA_ABS) for b in boxes]
    return np.array(boxes, dtype=np.float64).reshape(-1, 5 if rotated else 4)


def _run_lengths(segmentation: Any, image: Mapping[str, Any] | None, tools: Any) -> Any:
    if isinstance(segmentation, Mapping):
        if isinstance(segmentation["counts"], (str, bytes)):
            return segmentation
        height, width = (int(side) for side in segmentation["size"])
        plain = {"size": [height, width], "counts": np.asarray(segmentation["counts"]).tolist()}
        return tools.frPyObjects(plain, height, width)
    assert image is not None
    return tools.merge(tools.frPyObjects(segmentation, image["height"], image["width"]))
