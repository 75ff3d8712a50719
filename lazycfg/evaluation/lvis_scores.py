"""LVIS's average precision: COCO's, on images that are annotated for some of the classes only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np

from lazycfg.evaluation.coco_checks import check_detections, check_mask_sizes
from lazycfg.evaluation.coco_engines import IouType, mask_tools
from lazycfg.evaluation.coco_scores import CocoScores, coco_scores, in_order
from lazycfg.structures.rle import rle_area

__all__ = ["best_of_each_image", "lvis_scores"]

Detection = TypeVar("Detection", bound=Mapping[str, Any])

_ABSENT, _PARTLY = "neg_category_ids", "not_exhaustive_category_ids"
_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_AREAS = ("all", "small", "medium", "large")
_BEYOND = 1e6  # pixels: farther out than any box


def best_of_each_image(detections: Sequence[Detection], limit: int) -> list[Detection]:
    """Return the detections without those of an image that score less than `limit` others of it, over all
    classes; of equal ones the first stay. The order is kept.
    """
    numbers: dict[Any, int] = {}
    images = np.array([numbers.setdefault(d["image_id"], len(numbers)) for d in detections], dtype=np.int64)
    scores = np.array([d["score"] for d in detections], dtype=np.float64)
    order = np.lexsort((-scores, images))  # stable
    sorted_images = images[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_images, sorted_images)
    keep = np.sort(order[rank < limit])
    return [detections[index] for index in keep.tolist()]


def lvis_scores(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    iou_type: IouType,
    *,
    max_dets: int = 300,
    img_ids: Sequence[Any] | None = None,
) -> CocoScores:
    """Compute precision and recall as LVIS defines them (Gupta et al., 2019, arXiv:1908.03195).

    They are COCO's, but for three rules: of an image the `max_dets` best detections count, over all classes;
    a detection of a class that was not looked for in its image does not count; and one that matches nothing
    is no mistake where not every object of its class is annotated.

    Args:
        ground_truth: as an annotation file of LVIS: an image may have "neg_category_ids", classes that are
            not in it, and "not_exhaustive_category_ids". Classes that are in neither of them and have no
            annotation in the image were not looked for.
        detections: as a results file of COCO.
        iou_type: "bbox" or "segm".
        max_dets: detections of an image.
        img_ids: look at these images only.

    Raises:
        ImportError, ValueError: see `coco_scores`.
    """
    check_detections(ground_truth, detections, iou_type)
    if iou_type == "segm":
        check_mask_sizes(ground_truth, detections)
    wanted = None if img_ids is None else set(img_ids)
    images = {i["id"]: i for i in ground_truth["images"] if wanted is None or i["id"] in wanted}
    objects = [annotation for annotation in ground_truth["annotations"] if annotation["image_id"] in images]
    looked_for = {(id, number) for id, image in images.items() for number in image.get(_ABSENT, ())}
    looked_for.update(map(_pair, objects))
    partly = {(id, number) for id, image in images.items() for number in image.get(_PARTLY, ())}
    counted = [
        detection
        for detection in best_of_each_image(detections, max_dets)
        if _pair(detection) in looked_for
        # What covers nothing matches nothing, not even the crowds below.
        and (_pair(detection) not in partly or _covers(detection, iou_type))
    ]
    partly &= {_pair(detection) for detection in counted}
    # COCO's rule of crowds is that of these classes: what matches no object matches a crowd all over the
    # image, and is not counted. A crowd counts as no object.
    crowds = [_crowd(images[image_id], number) for image_id, number in sorted(partly, key=str)]
    found = [{**annotation, "id": number} for number, annotation in enumerate([*objects, *crowds], 1)]
    if iou_type == "segm":
        found = [_with_run_lengths(annotation, images[annotation["image_id"]]) for annotation in found]
    return _by_groups_of_classes(ground_truth, images, found, counted, iou_type, max_dets)


def _by_groups_of_classes(
    ground_truth: Mapping[str, Any],
    images: Mapping[Any, Mapping[str, Any]],
    annotations: Sequence[Mapping[str, Any]],
    detections: Sequence[Mapping[str, Any]],
    iou_type: IouType,
    max_dets: int,
) -> CocoScores:
    """Compute what `coco_scores` does of all at once, which takes time for every image and class.

    A class has objects or detections in few images. It is given these alone, numbered from 1 in their order,
    together with the classes that have about as many.
    """
    order = {image_id: place for place, image_id in enumerate(in_order(list(images)))}
    of_class: dict[Any, set[Any]] = {category["id"]: set() for category in ground_truth["categories"]}
    for entry in (*annotations, *detections):
        of_class[entry["category_id"]].add(entry["image_id"])
    places: dict[tuple[Any, Any], int] = {}
    group_of: dict[Any, int] = {}
    groups: dict[int, list[int]] = {}  # indices of classes by the number of binary digits of their images
    for index, (number, there) in enumerate(of_class.items()):
        if there:
            group_of[number] = len(there).bit_length()
            groups.setdefault(group_of[number], []).append(index)
            for place, image_id in enumerate(sorted(there, key=order.__getitem__), 1):
                places[image_id, number] = place

    def split(entries: Sequence[Mapping[str, Any]]) -> dict[int, list[dict[str, Any]]]:
        parts: dict[int, list[dict[str, Any]]] = {group: [] for group in groups}
        for entry in entries:
            parts[group_of[entry["category_id"]]].append({**entry, "image_id": places[_pair(entry)]})
        return parts

    annotations_of, detections_of = split(annotations), split(detections)
    count = len(of_class)
    shape = len(_THRESHOLDS), 101, count, len(_AREAS), 1
    precision, score = np.full(shape, np.nan), np.full(shape, np.nan)
    recall = np.full((shape[0], *shape[2:]), np.nan)
    num_objects = np.zeros((count, len(_AREAS)), dtype=np.int64)
    for group, members in groups.items():
        part = coco_scores(
            {
                "images": [{"id": place} for place in range(1, 2**group)],  # masks have their own size
                "categories": [ground_truth["categories"][index] for index in members],
                "annotations": annotations_of[group],
            },
            detections_of[group],
            iou_type,
            max_dets=(max_dets,),
        )
        precision[:, :, members], score[:, :, members] = part.precision, part.score
        recall[:, members], num_objects[members] = part.recall, part.num_objects
    per_image = Counter(_pair(a) for a in annotations if not a["iscrowd"])
    (fullest, _), most = max(per_image.items(), key=itemgetter(1), default=((None, None), 0))
    return CocoScores(
        iou_type=iou_type,
        precision=precision,
        recall=recall,
        score=score,
        iou_thresholds=_THRESHOLDS,
        class_names=tuple(str(category["name"]) for category in ground_truth["categories"]),
        areas=_AREAS,
        max_dets=(max_dets,),
        num_objects=num_objects,
        num_detections=len(detections),
        most_objects=most,
        fullest_image=fullest,
    )


def _crowd(image: Mapping[str, Any], number: Any) -> dict[str, Any]:
    """Return a crowd of a class all over an image, and beyond it, where boxes may lie."""
    size = [image["height"], image["width"]]
    return {
        "image_id": image["id"],
        "category_id": number,
        "iscrowd": 1,
        "bbox": [-_BEYOND, -_BEYOND, 2 * _BEYOND, 2 * _BEYOND],
        "area": 0.0,
        "segmentation": {"size": size, "counts": [0, size[0] * size[1]]},
    }


def _with_run_lengths(annotation: dict[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """Return an annotation whose mask does not need the size of its image."""
    if isinstance(annotation["segmentation"], Mapping):
        return annotation
    tools = mask_tools()
    polygons = tools.frPyObjects(annotation["segmentation"], image["height"], image["width"])
    return {**annotation, "segmentation": tools.merge(polygons)}


def _pair(entry: Mapping[str, Any]) -> tuple[Any, Any]:
    return entry["image_id"], entry["category_id"]


def _covers(detection: Mapping[str, Any], iou_type: str) -> bool:
    """Return whether a detection covers anything."""
    if iou_type == "segm" and "segmentation" in detection:
        return rle_area(detection["segmentation"]) > 0
    return iou_type != "bbox" or "bbox" not in detection or min(detection["bbox"][2:4]) > 0
