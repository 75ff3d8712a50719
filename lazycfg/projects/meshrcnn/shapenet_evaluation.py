"""Distances between predicted and true meshes on ShapeNet, by the two protocols in use."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from lazycfg.evaluation.evaluator import DatasetEvaluator, Results
from lazycfg.evaluation.tables import metrics_table
from lazycfg.structures import Meshes
from lazycfg.utils import gather, is_main_process

from .metrics import compare_meshes
from .shapenet_data import SHAPENET_CLASSES

__all__ = ["ShapeNetEvaluator"]

logger = logging.getLogger(__name__)

PROTOCOLS: dict[str, dict[str, Any]] = {
    "scale_normalized": {"scale": "gt-10", "thresholds": (0.1, 0.3, 0.5)},
    "pixel2mesh": {"scale": 0.57, "thresholds": (0.01, 0.014142)},
}
METRICS = ("Chamfer-L2", "AbsNormalConsistency", "F1")


class ShapeNetEvaluator(DatasetEvaluator):
    """Chamfer distance, normal consistency and F1 (in percent) of predicted meshes, see `compare_meshes`.

    Results are of two tasks: "scale_normalized", where the true mesh is scaled to a length of 10, and
    "pixel2mesh", where all are scaled by 0.57 (arXiv:1804.01654). ``<metric>`` is the mean of the means of
    the classes, ``<metric> per instance`` the mean of all images, ``<metric> - <class>`` that of a class.

    Args:
        dataset: a `ShapeNetDataset`.
        num_samples: points drawn from each mesh, always the same ones.
        distributed: gather the numbers of all processes.
    """

    def __init__(self, *, dataset: Any, num_samples: int = 10000, distributed: bool = True) -> None:
        self.dataset = dataset
        self.num_samples = num_samples
        self.distributed = distributed
        self._rows: dict[Any, tuple[str, dict[str, dict[str, float]]]] = {}

    def reset(self) -> None:
        """Forget all predictions."""
        self._rows = {}

    def process(self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
        """Collect the predictions of a batch.

        Args:
            inputs: dicts with "image_id", "class_id" and the true "mesh" (vertices, faces).
            outputs: dicts with the predicted "mesh".
        """
        pred = _batch([x["mesh"] for x in outputs])
        truth = _batch([x["mesh"] for x in inputs])
        values = {}
        for name, options in PROTOCOLS.items():
            generator = torch.Generator().manual_seed(0)
            values[name] = compare_meshes(
                pred, truth, num_samples=self.num_samples, generator=generator, **options
            )
        for i, item in enumerate(inputs):
            own = {
                name: {k: v[i].item() for k, v in rows.items() if k.startswith(METRICS)}
                for name, rows in values.items()
            }
            self._rows[item["image_id"]] = (item["class_id"], own)

    def evaluate(self) -> Results | None:
        """Return the means of all metrics; None in all processes but the main one."""
        parts = [self._rows]
        if self.distributed:
            parts = gather(self._rows)
            if not is_main_process():
                return None
        rows = [row for part in parts for row in part.items()]
        of_images = list(dict(rows).values())
        if not of_images:
            logger.warning("ShapeNetEvaluator was given no predictions: were there any images?")
            return {}
        results: Results = {}
        for name in PROTOCOLS:
            results[name] = _summary([(label, values[name]) for label, values in of_images])
            short = {k: v for k, v in results[name].items() if " - " not in k}
            logger.info("%s:\n%s", name, metrics_table(short))
        return results


def _summary(rows: Sequence[tuple[str, Mapping[str, float]]]) -> dict[str, float]:
    labels = sorted({label for label, _ in rows})
    metrics = list(rows[0][1])
    of_class = {label: [values for own, values in rows if own == label] for label in labels}
    means = {c: {m: float(np.mean([v[m] for v in of_class[c]])) for m in metrics} for c in labels}
    out = {m: float(np.mean([means[label][m] for label in labels])) for m in metrics}
    out |= {f"{m} per instance": float(np.mean([v[m] for _, v in rows])) for m in metrics}
    out |= {f"{m} - {SHAPENET_CLASSES.get(c, c)}": means[c][m] for c in labels for m in metrics}
    return out


def _batch(meshes: Sequence[Any]) -> Meshes:
    return Meshes([verts.cpu().float() for verts, _ in meshes], [faces.cpu() for _, faces in meshes])
