"""Average precision of boxes, masks and meshes on Pix3D."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.data.image import read_image
from lazycfg.evaluation.evaluator import DatasetEvaluator, Results
from lazycfg.evaluation.label_maps import RecordIndex
from lazycfg.evaluation.tables import distinct_names, metrics_table
from lazycfg.layers import ico_sphere, paste_masks_in_image
from lazycfg.structures import Boxes, BoxMode, Instances, Meshes, ROIMasks, pairwise_iou
from lazycfg.utils import gather, is_main_process

from .camera import meshes_before_camera
from .metrics import compare_meshes
from .pix3d import camera_points, load_mesh

__all__ = ["Pix3DEvaluator", "average_precision"]

logger = logging.getLogger(__name__)

KINDS = ("box", "mask", "mesh")


class Pix3DEvaluator(DatasetEvaluator):
    """Measure the average precision of boxes, masks and meshes on images with one object each, in percent.

    Detections whose box overlaps that of the object by more than 0.3 count, the best first. One of the right
    class is right in box or mask if the IoU is above 0.5, and in its mesh if more than half of the points are
    within 0.3 of each other (F1@0.3 above 0.5, see `compare_meshes`), when the object is scaled to a length
    of 10. In each of the three an object is found once; later detections of it are wrong.

    A mesh is put between the sides of its box. How far it reaches in depth is predicted; how far away its
    centre is cannot be seen in one image, and is taken from the truth.

    Results under "shape": ``box_ap@0.5``, ``mask_ap@0.5``, ``mesh_ap@0.5``, the means over the classes that
    occur, and ``box_ap@0.5 - <class>`` and so on. Precision is integrated over all points of the curve.

    Args:
        dataset: a `Pix3DDataset`.
        num_samples: points drawn from each mesh, always the same ones.
        distributed: gather the detections of all processes.
    """

    def __init__(self, *, dataset: Any, num_samples: int = 10000, distributed: bool = True) -> None:
        self.dataset = dataset
        self.num_samples = num_samples
        self.distributed = distributed
        self.class_names = distinct_names(list(dataset.metadata.thing_classes))
        self._records = RecordIndex(dataset)
        self._found: dict[Any, list[tuple[int, float, tuple[bool, bool, bool]]]] = {}

    def reset(self) -> None:
        """Forget all predictions."""
        self._found = {}

    def process(self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
        """Collect the predictions of a batch.

        Args:
            inputs: dicts with "image_id".
            outputs: dicts with "instances" in pixels of the original image: ``pred_boxes``, ``scores``,
                ``pred_classes`` and, where there are such heads, ``pred_masks``, ``pred_meshes`` and
                ``pred_dz``.

        Raises:
            ValueError: an image of the data set with more than one object, or meshes without ``pred_dz``.
        """
        for item, output in zip(inputs, outputs, strict=True):
            record = self._records[item["image_id"]]
            self._found[item["image_id"]] = self._judge(output["instances"], record)

    def evaluate(self) -> Results | None:
        """Return AP of boxes, masks and meshes, in percent; None in all processes but the main one."""
        found = [self._found]
        if self.distributed:
            found = gather(self._found)
            if not is_main_process():
                return None
        merged = {image: rows for part in found for image, rows in part.items()}
        if not merged:
            logger.warning("Pix3DEvaluator was given no predictions: were there any images?")
            return {}
        counts = self._count_objects()
        by_class: dict[int, list[tuple[float, tuple[bool, bool, bool]]]] = {}
        for rows in merged.values():
            for label, score, right in rows:
                by_class.setdefault(label, []).append((score, right))
        results = self._average(by_class, counts)
        logger.info("Shapes:\n%s", metrics_table({k: v for k, v in results.items() if " - " not in k}))
        return {"shape": results}

    def _average(
        self, by_class: Mapping[int, list[tuple[float, tuple[bool, bool, bool]]]], counts: Sequence[int]
    ) -> dict[str, float]:
        results: dict[str, float] = {}
        details: dict[str, float] = {}
        for k, kind in enumerate(KINDS):
            own = []
            for label, count in enumerate(counts):
                if not count:
                    continue
                rows = by_class.get(label, [])
                scores, right = np.array([s for s, _ in rows]), np.array([r[k] for _, r in rows], dtype=bool)
                own.append(100 * average_precision(scores, right, count))
                details[f"{kind}_ap@0.5 - {self.class_names[label]}"] = own[-1]
            results[f"{kind}_ap@0.5"] = float(np.mean(own)) if own else float("nan")
        return results | details

    def _count_objects(self) -> list[int]:
        counts = [0] * len(self.class_names)
        for i in range(len(self.dataset)):
            for annotation in self.dataset[i]["annotations"]:
                counts[annotation["category_id"]] += annotation.get("iscrowd", 0) == 0
        return counts

    def _judge(
        self, found: Instances, record: Mapping[str, Any]
    ) -> list[tuple[int, float, tuple[bool, bool, bool]]]:
        """Return the class, the score and what is right of each detection that counts."""
        truth = [a for a in record["annotations"] if a.get("iscrowd", 0) == 0]
        if len(truth) > 1:
            raise ValueError(
                f"image {record['image_id']!r} has {len(truth)} objects; Pix3DEvaluator takes one an image"
            )
        if not truth or not len(found):
            return []
        (annotation,) = truth
        box = BoxMode.convert(list(annotation["bbox"]), annotation["bbox_mode"], BoxMode.XYXY_ABS)
        found = found[found.scores.argsort(descending=True, stable=True)].to("cpu")
        ious = pairwise_iou(found.pred_boxes, Boxes(torch.tensor([box])))[:, 0]
        found, ious = found[ious > 0.3], ious[ious > 0.3]
        if not len(found):
            return []
        labels, scores = found.pred_classes.tolist(), found.scores.float().tolist()
        rows = [i for i, label in enumerate(labels) if label == annotation["category_id"]]
        fine = np.zeros((len(found), 3), dtype=bool)
        good = torch.tensor(rows, dtype=torch.int64)
        if rows:
            mask_ious = self._mask_ious(found[good], annotation, record)
            first_of = (
                ious[good] > 0.5,
                mask_ious > 0.5,
                self._mesh_f1(found[good], annotation, record) > 50,
            )
            for k, right in enumerate(first_of):
                if right.any():
                    fine[rows[int(right.int().argmax())], k] = True
        return [
            (label, score, tuple(own))
            for label, score, own in zip(labels, scores, fine.tolist(), strict=True)
        ]

    def _mask_ious(
        self, found: Instances, annotation: Mapping[str, Any], record: Mapping[str, Any]
    ) -> Tensor:
        if not found.has("pred_masks"):
            return torch.zeros(len(found))
        masks = found.pred_masks
        if isinstance(masks, ROIMasks):
            masks = paste_masks_in_image(masks.tensor, found.pred_boxes, found.image_size)
        truth = read_image(annotation["mask_file"], "L")[0] > 0
        if masks.shape[1:] != truth.shape:
            raise ValueError(
                f"image {record['image_id']!r}: predicted masks of {tuple(masks.shape[1:])} pixels, and the "
                f"true one has {tuple(truth.shape)} (height, width)"
            )
        both, either = (masks & truth).sum((1, 2)), (masks | truth).sum((1, 2))
        return both / either.clamp(min=1)

    def _mesh_f1(self, found: Instances, annotation: Mapping[str, Any], record: Mapping[str, Any]) -> Tensor:
        if not found.has("pred_dz"):
            if found.has("pred_meshes"):
                raise ValueError(
                    "Pix3DEvaluator needs pred_dz to say how deep meshes are: give the model a "
                    "model.roi_heads.z_head"
                )
            return torch.zeros(len(found))
        verts, faces = load_mesh(annotation["model"])
        truth = Meshes([camera_points(verts, dict(annotation))], [faces])
        meshes = predicted_meshes(found, annotation, record, truth)
        generator = torch.Generator().manual_seed(0)
        values = [
            compare_meshes(one, truth, num_samples=self.num_samples, thresholds=[0.3], generator=generator)[
                "F1@0.300000"
            ]
            for one in meshes
        ]
        return torch.cat(values)


def predicted_meshes(
    found: Instances, annotation: Mapping[str, Any], record: Mapping[str, Any], truth: Meshes
) -> Meshes:
    """Put the meshes of detections where they are seen, at the depth of the true one.

    Spheres stand for meshes that are missing.
    """
    if found.has("pred_meshes"):
        sphere = ico_sphere(3)
        own = [
            (verts.float(), faces) if len(faces) else (sphere.verts_packed(), sphere.faces_packed())
            for verts, faces in found.pred_meshes
        ]
        meshes = Meshes([verts for verts, _ in own], [faces for _, faces in own])
    else:
        meshes = ico_sphere(4).extend(len(found))
    near, far = truth.get_bounding_boxes()[0, 2].tolist()
    size = (record["height"], record["width"])
    return meshes_before_camera(
        meshes, found.pred_boxes.tensor, found.pred_dz, annotation["K"][0], size, (near + far) / 2
    )


def average_precision(scores: np.ndarray, right: np.ndarray, count: int) -> float:
    """Integrate precision over recall as PASCAL VOC does since 2010: at each recall the best precision of
    this or a higher recall.

    Args:
        scores: (D,) of detections. right: (D,) bool. count: of true objects, 1 or more.

    Returns:
        0 to 1; 0 without detections.
    """
    if not len(scores):
        return 0.0
    hits = right[np.argsort(-scores, kind="stable")].cumsum()
    recall, precision = hits / count, hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * best).sum())
