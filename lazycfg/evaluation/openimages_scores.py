"""OpenImages' average precision: groups of objects, classes below others, partly labelled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from lazycfg.evaluation.coco_checks import check_detections
from lazycfg.evaluation.coco_scores import in_order
from lazycfg.evaluation.matching import all_overlaps, columns_of, comparison
from lazycfg.evaluation.pascal_voc_scores import area_under_curve

__all__ = ["Hierarchy", "VerifiedLabels", "openimages_scores"]

Entry = dict[str, Any]


@dataclass(frozen=True)
class Hierarchy:
    """Which classes are kinds of which others.

    Attributes:
        parents: of each class, those right above it. A class may have several.
    """

    parents: Mapping[Any, frozenset[Any]] = field(default_factory=dict)

    def ancestors(self, member: Any) -> set[Any]:
        """Return all classes above one, without itself."""
        above: set[Any] = set()
        waiting = [member]
        while waiting:
            new = self.parents.get(waiting.pop(), frozenset()) - above
            above |= new
            waiting += new
        return above - {member}


@dataclass(frozen=True)
class VerifiedLabels:
    """What somebody has said of whole images: of each image, the classes that are in it and that are not."""

    present: Mapping[Any, frozenset[Any]] = field(default_factory=dict)
    absent: Mapping[Any, frozenset[Any]] = field(default_factory=dict)

    def looked_for(self, image_id: Any, ancestors: Mapping[Any, set[Any]]) -> set[Any]:
        """Return the classes that were looked for in an image.

        A class that is there brings those above it, and one that is not there those below it.

        Args:
            ancestors: of each class, all that stand above it.
        """
        present, absent = self.present.get(image_id, frozenset()), self.absent.get(image_id, frozenset())
        result = present | absent
        for label in present:
            result = result | ancestors.get(label, set())
        return set(result) | {label for label, above in ancestors.items() if above & absent}


def openimages_scores(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    iou_type: Literal["bbox", "segm"] = "bbox",
    *,
    hierarchy: Hierarchy | None = None,
    verified: VerifiedLabels | None = None,
    count_groups: bool = True,
    iou: float = 0.5,
) -> list[dict[str, Any]]:
    """Compute average precision as the OpenImages challenges define it (Kuznetsova et al., 2020,
    arXiv:1811.00982).

    A detection finds the object of its class that it overlaps most, if by at least `iou`; the first finds it,
    others of the same are wrong. What remains and lies in a group of its class, by at least `iou` of its own
    area, counts together as one object found, with the best score among them. Detections of a class that was
    not looked for in their image do not count.

    Args:
        ground_truth: as a COCO annotation file; crowds are groups.
        detections: as a COCO results file.
        hierarchy: by ids of categories: objects count for the classes above theirs, too.
        verified: by ids; None: every class was looked for in every image.
        count_groups: whether a group is an object to be found; else what lies in it does not count.
        iou: the least overlap.

    Returns:
        of each class "class", its name, "AP50" in percent (NaN without objects; named after `iou`), and how
        many "objects" and "groups" it has.

    Raises:
        ValueError: the two sides do not belong together.
    """
    check_detections(ground_truth, detections, iou_type)
    ids = [category["id"] for category in ground_truth["categories"]]
    classes = {number: index for index, number in enumerate(ids)}
    hierarchy = Hierarchy() if hierarchy is None else hierarchy
    ancestors = {number: hierarchy.ancestors(number) & set(ids) for number in ids}
    things: list[Entry] = []
    for annotation in ground_truth["annotations"]:
        own = annotation["category_id"]
        things += [{**annotation, "category_id": label} for label in (own, *in_order(list(ancestors[own])))]
    if verified is not None:
        detections = _of_known_classes(detections, things, ground_truth["images"], verified, ancestors)

    images = in_order([image["id"] for image in ground_truth["images"]])
    places = {image_id: place for place, image_id in enumerate(images)}
    score = np.array([d["score"] for d in detections], dtype=np.float64)
    ranked = np.argsort(-score, kind="stable")
    detections, score = [detections[i] for i in ranked.tolist()], score[ranked]
    image, label = columns_of(detections, places, classes)
    true_image, true_label = columns_of(things, places, classes)
    group = np.array([bool(thing.get("iscrowd", 0)) for thing in things], dtype=bool)
    compare = comparison(ground_truth, detections, things, iou_type)
    pairs, overlaps = all_overlaps(image, true_image, group, len(images), compare)
    same = label[pairs[:, 0]] == true_label[pairs[:, 1]]
    pairs, overlaps = pairs[same], overlaps[same]
    in_group = group[pairs[:, 1]]

    near = _most_overlapped(pairs[~in_group], overlaps[~in_group], len(detections), iou)
    right = np.zeros(len(detections), dtype=bool)
    first = np.unique(near, return_index=True)[1]
    right[first[near[first] >= 0]] = True
    inside = _most_overlapped(pairs[in_group], overlaps[in_group], len(detections), iou)
    inside[right] = -1
    # Detections come by falling score, so the first in a group is its best
    best = np.unique(inside, return_index=True)[1]
    best = best[inside[best] >= 0]
    counted = inside < 0
    if count_groups:
        counted[best] = right[best] = True
    rows = []
    for index, category in enumerate(ground_truth["categories"]):
        own = counted & (label == index)
        objects, groups = (int((true_label[which] == index).sum()) for which in (~group, group))
        number = objects + (groups if count_groups else 0)
        value = 100 * area_under_curve(right[own], ~right[own], number)
        name = f"AP{round(100 * iou)}"
        rows.append({"class": str(category["name"]), name: value, "objects": objects, "groups": groups})
    return rows


def _of_known_classes(
    detections: Sequence[Mapping[str, Any]],
    things: Sequence[Mapping[str, Any]],
    images: Sequence[Mapping[str, Any]],
    verified: VerifiedLabels,
    ancestors: Mapping[Any, set[Any]],
) -> list[Mapping[str, Any]]:
    """Return the detections of classes that were looked for in their images."""
    known = {image["id"]: verified.looked_for(image["id"], ancestors) for image in images}
    for thing in things:
        known[thing["image_id"]].add(thing["category_id"])
    return [d for d in detections if d["category_id"] in known[d["image_id"]]]


def _most_overlapped(pairs: np.ndarray, overlaps: np.ndarray, count: int, least: float) -> np.ndarray:
    """Return (count,) int64, which object each detection overlaps most, by at least `least`; -1 for none.

    Of equal overlaps the first object counts.
    """
    result = np.full(count, -1, dtype=np.int64)
    order = np.lexsort((-pairs[:, 1], overlaps, pairs[:, 0]))  # the last that is written stays
    order = order[overlaps[order] >= least]
    result[pairs[order, 0]] = pairs[order, 1]
    return result
