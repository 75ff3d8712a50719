"""Average precision of DensePose predictions: GPS, GPSm, and IoU of masks."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lazycfg.evaluation.coco_scores import in_order
from lazycfg.evaluation.evaluator import DatasetEvaluator, Results
from lazycfg.evaluation.label_maps import RecordIndex, get_record
from lazycfg.evaluation.tables import distinct_names, metrics_table
from lazycfg.structures import BoxMode, Instances, polygons_to_bitmask
from lazycfg.utils import gather, is_main_process

from ..structures import paste_box_masks
from .likeness import (
    ChartLikeness,
    DataMode,
    EmbeddingLikeness,
    Likeness,
    box_overlaps,
    mask_overlaps,
    object_mask,
)
from .matching import ImageOverlaps, densepose_scores, iou_thresholds, overlaps_by_id
from .surface import ChartSurface

__all__ = ["DensePoseCOCOEvaluator"]

logger = logging.getLogger(__name__)

MAX_DETECTIONS = 20
"""Of a class in an image, the best ones."""
IGNORED_BOX, IGNORED_MASK = 0.7, 0.9
"""Objects and detections that lie in ignored regions so far are left out."""


class DensePoseCOCOEvaluator(DatasetEvaluator):
    """Measures average precision and recall by three likenesses of detections and objects, in percent.

    - ``densepose_gps``: geodesic point similarity, how near the predicted points of the surface are to the
      annotated ones (arXiv:1802.00434);
    - ``densepose_gpsm``: its geometric mean with the IoU of masks;
    - ``densepose_segm``: the IoU of masks.

    Each has "AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl", and "AP-<class>" where
    there are several classes. NaN stands for "nothing to be found". Objects without points are ignored. An
    image is compared as soon as it is predicted; only the likenesses are kept, so that nothing has to be
    stored.

    Args:
        dataset: a data set with DensePose annotations.
        evaluator_type: "iuv" for charts, "cse" for embeddings.
        surface: for "iuv": the surface of the charts.
        data_mode: for "iuv": see `DataMode`.
        embedder: for "cse": the embedder of the model, such as ``ref("model.roi_heads.embedder")``.
        meshes: for "cse": by name, the meshes of the annotations, with their geodesic distances.
        min_iou_threshold: the lowest threshold, 0.2 for what is published as APex.
        distributed: gather the results of all processes. False: each process evaluates what it saw.

    Raises:
        ValueError: something that the type needs is missing.
    """

    def __init__(
        self,
        *,
        dataset: Any,
        evaluator_type: Literal["iuv", "cse"] = "iuv",
        surface: ChartSurface | None = None,
        data_mode: DataMode = "IUV_DT",
        embedder: Any = None,
        meshes: Mapping[str, Any] | None = None,
        min_iou_threshold: float = 0.5,
        distributed: bool = True,
    ) -> None:
        if not 0 < min_iou_threshold <= 0.95:
            raise ValueError(f"min_iou_threshold must be above 0 and at most 0.95, got {min_iou_threshold}")
        self.likeness: Likeness
        if evaluator_type == "iuv":
            if surface is None:
                raise ValueError(
                    'DensePoseCOCOEvaluator(evaluator_type="iuv") needs surface=ChartSurface(...)'
                )
            self.likeness = ChartLikeness(surface=surface, data_mode=data_mode)
        elif evaluator_type == "cse":
            if embedder is None or meshes is None:
                raise ValueError('DensePoseCOCOEvaluator(evaluator_type="cse") needs embedder and meshes')
            self.likeness = EmbeddingLikeness(embedder=embedder, meshes=meshes)
        else:
            raise ValueError(
                f'evaluator_type must be "iuv" (charts) or "cse" (embeddings), got {evaluator_type!r}'
            )
        self.dataset = dataset
        self.distributed = distributed
        self.thresholds = iou_thresholds(min_iou_threshold)
        self.class_names = distinct_names(list(dataset.metadata.thing_classes))
        self._records = RecordIndex(dataset)
        self._images: dict[Any, ImageOverlaps] = {}

    def reset(self) -> None:
        """Forget all predictions."""
        self._images = {}

    def process(self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
        """Take in the predictions for a batch.

        Args:
            inputs: dicts with "image_id".
            outputs: dicts with "instances" in pixels of the original image: ``pred_boxes``, ``scores``,
                ``pred_classes`` and ``pred_densepose``.

        Raises:
            ValueError: instances without ``pred_densepose``, or an annotation that cannot be compared; the
                message names the image.
            TypeError: charts where embeddings are compared, or the other way round.
        """
        for item, output in zip(inputs, outputs, strict=True):
            record = self._records[item["image_id"]]
            try:
                self._images[item["image_id"]] = self._compare(output["instances"], record)
            except (ValueError, TypeError) as error:
                error.add_note(f"image_id {item['image_id']!r}, file {record.get('file_name')}")
                raise

    def evaluate(self, img_ids: Sequence[Any] | None = None) -> Results | None:
        """Return the results on the main process.

        Args:
            img_ids: only these images; default: all of the dataset, of which those that were not predicted
                count as empty.
        """
        parts = [self._images]
        if self.distributed:
            parts = gather(self._images)
            if not is_main_process():
                return None
        images = overlaps_by_id(parts)
        if not images:
            logger.warning("DensePoseCOCOEvaluator was given no predictions: were there any images?")
            return {}
        ids = self._image_ids() if img_ids is None else list(img_ids)
        missing = [each for each in ids if each not in images]
        if missing:
            logger.warning(
                "only %d of %d images were predicted; the others count as empty",
                len(ids) - len(missing),
                len(ids),
            )
        for each in missing:
            record = self._records[each]
            images[each] = self._compare(Instances((record["height"], record["width"])), record)
        chosen = [images[each] for each in in_order(ids)]
        results: Results = {}
        for kind in ("gps", "gpsm", "segm"):
            scores = densepose_scores(chosen, self.class_names, kind, self.thresholds)
            results[f"densepose_{kind}"] = scores
            logger.info("Evaluation results for densepose, %s:\n%s", kind, metrics_table(scores))
        return results

    def try_out(
        self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]
    ) -> Results | None:
        """Evaluate a batch and forget it again, see `DatasetEvaluator.try_out`."""
        trial = copy.copy(self)
        trial.distributed = False
        trial.reset()
        trial.process(inputs, outputs)
        return trial.evaluate(img_ids=[item["image_id"] for item in inputs])

    def _image_ids(self) -> list[Any]:
        return [get_record(self.dataset, i).get("image_id", i) for i in range(len(self.dataset))]

    def _compare(self, found: Instances, record: Mapping[str, Any]) -> ImageOverlaps:
        size = (int(record["height"]), int(record["width"]))
        annotations = [{**a, "bbox": _xywh(a)} for a in record.get("annotations", ())]
        region = _ignored_region(record, size)
        annotations = [a for a in annotations if not _is_covered(a["bbox"], region)]
        found = found.to("cpu")
        masks = torch.zeros(0, *size, dtype=torch.bool)
        boxes, labels, scores = torch.zeros(0, 4), np.zeros(0, dtype=np.int64), np.zeros(0)
        maps: list[Tensor] = []
        if len(found):
            if not found.has("pred_densepose"):
                raise ValueError(
                    "instances have no pred_densepose: is the model a DensePose R-CNN "
                    "(model.roi_heads=DensePoseROIHeads)?"
                )
            self.likeness.check(found.pred_densepose)
            if region is None:
                found = found[_best_of_each_class(found)]
            boxes = found.pred_boxes.tensor.float()
            seen = self.likeness.look(found.pred_densepose, boxes)
            masks = paste_box_masks([mask for mask, _ in seen], boxes, size).tensor
            if region is not None:
                keep = _outside(boxes, masks, region).nonzero().squeeze(1)
                keep = keep[_best_of_each_class(found[keep])]
                found, boxes, masks, seen = found[keep], boxes[keep], masks[keep], [seen[k] for k in keep]
            maps = [own for _, own in seen]
            labels, scores = found.pred_classes.numpy(), found.scores.double().numpy()
        crowd = np.array([bool(a.get("iscrowd", 0)) for a in annotations], dtype=bool)
        ignored = np.array([a.get("dp_x") is None for a in annotations], dtype=bool)
        true = [object_mask(a, size) for a in annotations]
        compared = [None if skip else a for a, skip in zip(annotations, ignored, strict=True)]
        shape = (len(boxes), len(annotations))
        gt_boxes = np.array([a["bbox"] for a in annotations], dtype=np.float64).reshape(-1, 4)
        gt_boxes[:, 2:] += gt_boxes[:, :2]
        sides = (boxes[:, 2:] - boxes[:, :2]).double()
        return ImageOverlaps(
            image_id=record.get("image_id"),
            labels=labels,
            scores=scores,
            areas=sides.prod(dim=1).numpy(),
            gt_labels=np.array([a["category_id"] for a in annotations], dtype=np.int64),
            gt_areas=np.array([a.get("area", a["bbox"][2] * a["bbox"][3]) for a in annotations], np.float64),
            gt_ignored=ignored,
            gt_crowd=crowd,
            gps=self.likeness.gps(maps, boxes, compared) if all(shape) else np.zeros(shape),
            masks=mask_overlaps(masks, torch.stack(true), crowd) if all(shape) else np.zeros(shape),
            boxes=box_overlaps(boxes.double().numpy(), gt_boxes, crowd),
        )


def _xywh(annotation: Mapping[str, Any]) -> list[float]:
    return [
        float(v) for v in BoxMode.convert(list(annotation["bbox"]), annotation["bbox_mode"], BoxMode.XYWH_ABS)
    ]


def _best_of_each_class(found: Instances) -> Tensor:
    """Return which detections count, the best of each class."""
    order = found.scores.argsort(descending=True, stable=True)
    labels = found.pred_classes[order]
    same = labels[:, None] == labels
    rank = torch.tril(same, diagonal=-1).sum(dim=1)
    return order[rank < MAX_DETECTIONS].sort().values


def _ignored_region(record: Mapping[str, Any], size: tuple[int, int]) -> Tensor | None:
    """Return the regions (H, W) bool of an image in which nothing is annotated, None without any."""
    xs, ys = (record.get(f"ignore_regions_{axis}") or [] for axis in "xy")
    polygons = [np.stack((x, y), axis=1).ravel().astype(np.float64) for x, y in zip(xs, ys, strict=True)]
    polygons = [polygon for polygon in polygons if len(polygon) >= 6]
    if not polygons:
        return None
    return torch.as_tensor(polygons_to_bitmask(polygons, *size)).bool()


def _is_covered(box: Sequence[float], region: Tensor | None) -> bool:
    if region is None:
        return False
    x, y, w, h = (int(v) for v in box)
    if w * h == 0:
        return True
    covered = region[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)].sum()
    return float(covered) / (w * h) >= IGNORED_BOX


def _outside(boxes: Tensor, masks: Tensor, region: Tensor) -> Tensor:
    """Return which detections do not lie in a region."""
    areas = masks.flatten(1).sum(dim=1)
    covered = (masks & region).flatten(1).sum(dim=1)
    whole = (boxes[:, 2:] - boxes[:, :2]).long().prod(dim=1) > 0
    return whole & ((covered < IGNORED_MASK * areas) | (covered == 0))
