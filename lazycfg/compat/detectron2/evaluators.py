"""Evaluators of registered data sets, by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lazycfg import evaluation
from lazycfg.engine.hooks import flatten_results
from lazycfg.evaluation import print_csv_format as print_csv_format
from lazycfg.evaluation.evaluator import inference_context as inference_context
from lazycfg.structures import Instances

from .catalogs import as_dataset, as_metadata
from .config import CfgNode
from .stand_in import StandIn

__all__ = [
    "COCOEvaluator",
    "COCOPanopticEvaluator",
    "CityscapesInstanceEvaluator",
    "CityscapesSemSegEvaluator",
    "LVISEvaluator",
    "PascalVOCDetectionEvaluator",
    "RotatedCOCOEvaluator",
    "SemSegEvaluator",
    "flatten_results_dict",
    "inference_context",
    "inference_on_dataset",
    "instances_to_coco_json",
    "print_csv_format",
    "verify_results",
]

logger = logging.getLogger(__name__)


class _Lazy:
    """A registered data set, read when it is first used."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._dataset: Any = None

    @property
    def metadata(self) -> Any:
        """Return the metadata; the data set is read for the names of its classes, if nothing tells them."""
        known = as_metadata(self._name)
        if not known.thing_classes and not known.stuff_classes:
            known = self._read().metadata
        return known

    def _read(self) -> Any:
        if self._dataset is None:
            self._dataset = as_dataset(self._name)
        return self._dataset

    def __len__(self) -> int:
        return len(self._read())

    def __getitem__(self, index: int) -> Any:
        return self._read()[index]


def _tasks(tasks: Any) -> Any:
    return None if tasks is None or isinstance(tasks, CfgNode) else tuple(tasks)


def _most(max_dets_per_image: Any) -> int | None:
    """Return how many detections of an image count, of the list of numbers that AR is told for."""
    return max(max_dets_per_image) if isinstance(max_dets_per_image, Sequence) else max_dets_per_image


class COCOEvaluator(evaluation.COCOEvaluator, metaclass=StandIn):
    """`lazycfg.evaluation.COCOEvaluator` of a registered data set.

    Args:
        tasks: None, names, or (as it was long ago) a config.
        use_fast_impl, allow_cached_coco: have no effect.
    """

    stands_for = evaluation.COCOEvaluator

    def __init__(
        self,
        dataset_name: str,
        tasks: Any = None,
        distributed: bool = True,
        output_dir: str | None = None,
        *,
        max_dets_per_image: Any = None,
        use_fast_impl: bool = True,
        kpt_oks_sigmas: Any = (),
        allow_cached_coco: bool = True,
    ) -> None:
        if isinstance(tasks, CfgNode) and not kpt_oks_sigmas:
            kpt_oks_sigmas = tasks.TEST.KEYPOINT_OKS_SIGMAS
        super().__init__(
            dataset=_Lazy(dataset_name),
            tasks=_tasks(tasks),
            distributed=distributed,
            output_dir=output_dir,
            max_dets_per_image=_most(max_dets_per_image),
            kpt_oks_sigmas=tuple(kpt_oks_sigmas) or None,
        )
        self._output_dir = output_dir
        self._logger = logger

    @property
    def _metadata(self) -> Any:
        from .catalogs import MetadataCatalog

        return MetadataCatalog.get(self.dataset._name)


class RotatedCOCOEvaluator(evaluation.RotatedCOCOEvaluator, metaclass=StandIn):
    """`lazycfg.evaluation.RotatedCOCOEvaluator` of a registered data set.

    Args:
        use_fast_impl, allow_cached_coco: have no effect.
    """

    stands_for = evaluation.RotatedCOCOEvaluator

    def __init__(
        self,
        dataset_name: str,
        tasks: Any = None,
        distributed: bool = True,
        output_dir: Any = None,
        *,
        max_dets_per_image: Any = None,
        use_fast_impl: bool = True,
        allow_cached_coco: bool = True,
    ) -> None:
        super().__init__(
            dataset=_Lazy(dataset_name),
            tasks=_tasks(tasks),
            distributed=distributed,
            output_dir=output_dir,
            max_dets_per_image=_most(max_dets_per_image),
        )


class LVISEvaluator(evaluation.LVISEvaluator, metaclass=StandIn):
    """`lazycfg.evaluation.LVISEvaluator` of a registered data set, whose file is read again."""

    stands_for = evaluation.LVISEvaluator

    def __init__(
        self,
        dataset_name: str,
        tasks: Any = None,
        distributed: bool = True,
        output_dir: Any = None,
        *,
        max_dets_per_image: int | None = None,
    ) -> None:
        from lazycfg.data import LVISDataset

        from .catalogs import MetadataCatalog

        known = MetadataCatalog.get(dataset_name)
        dataset = LVISDataset(
            json_file=known.json_file, image_root=known.image_root, name=dataset_name, verify_images=False
        )
        super().__init__(
            dataset=dataset,
            tasks=_tasks(tasks),
            distributed=distributed,
            output_dir=output_dir,
            max_dets_per_image=max_dets_per_image,
        )


class PascalVOCDetectionEvaluator(evaluation.PascalVOCDetectionEvaluator, metaclass=StandIn):
    """`lazycfg.evaluation.PascalVOCDetectionEvaluator` of a registered data set."""

    stands_for = evaluation.PascalVOCDetectionEvaluator

    def __init__(self, dataset_name: str) -> None:
        from lazycfg.data import VOCDataset

        from .catalogs import MetadataCatalog

        known = MetadataCatalog.get(dataset_name)
        dataset = VOCDataset(
            root=known.dirname,
            split=known.split,
            class_names=tuple(known.thing_classes),
            year=known.year,
            name=dataset_name,
        )
        super().__init__(dataset=dataset)


class SemSegEvaluator(evaluation.SemSegEvaluator, metaclass=StandIn):
    """`lazycfg.evaluation.SemSegEvaluator` of a registered data set.

    Args:
        num_classes, ignore_label: have no effect, which is warned of: the catalog's metadata have them.

    Raises:
        ValueError: a function that reads label maps is given.
    """

    stands_for = evaluation.SemSegEvaluator

    def __init__(
        self,
        dataset_name: str,
        distributed: bool = True,
        output_dir: Any = None,
        *,
        sem_seg_loading_fn: Any = None,
        num_classes: Any = None,
        ignore_label: Any = None,
    ) -> None:
        if sem_seg_loading_fn is not None:
            raise ValueError(
                "SemSegEvaluator: sem_seg_loading_fn is not taken; give each record its map as an array, "
                "'sem_seg'"
            )
        if num_classes is not None or ignore_label is not None:
            logger.warning("SemSegEvaluator: num_classes and ignore_label are those of the metadata")
        super().__init__(dataset=_Lazy(dataset_name), distributed=distributed, output_dir=output_dir)


class COCOPanopticEvaluator(evaluation.COCOPanopticEvaluator, metaclass=StandIn):
    """`lazycfg.evaluation.COCOPanopticEvaluator` of a registered data set, whose files are read again."""

    stands_for = evaluation.COCOPanopticEvaluator

    def __init__(self, dataset_name: str, output_dir: Any = None) -> None:
        from lazycfg.data import CityscapesPanoptic, CocoPanopticDataset

        from .catalogs import MetadataCatalog

        known = MetadataCatalog.get(dataset_name)
        if known.get("evaluator_type") == "cityscapes_panoptic_seg":
            cityscapes = CityscapesPanoptic(
                panoptic_json=known.panoptic_json,
                panoptic_root=known.panoptic_root,
                image_dir=known.image_root,
                gt_dir=known.gt_dir,
                sem_seg=False,
                name=dataset_name,
            )
            super().__init__(dataset=cityscapes, output_dir=output_dir)
            return
        dataset = CocoPanopticDataset(
            panoptic_json=known.panoptic_json,
            panoptic_root=known.panoptic_root,
            image_root=known.image_root,
            sem_seg=False,
            separated=not hasattr(known, "label_divisor"),
            name=dataset_name,
        )
        super().__init__(dataset=dataset, output_dir=output_dir)


class CityscapesInstanceEvaluator(evaluation.CityscapesInstanceEvaluator, metaclass=StandIn):
    """`lazycfg.evaluation.CityscapesInstanceEvaluator` of a registered data set."""

    stands_for = evaluation.CityscapesInstanceEvaluator

    def __init__(self, dataset_name: str) -> None:
        from lazycfg.data import CityscapesInstances

        super().__init__(dataset=_cityscapes(CityscapesInstances, dataset_name))


class CityscapesSemSegEvaluator(evaluation.CityscapesSemSegEvaluator, metaclass=StandIn):
    """`lazycfg.evaluation.CityscapesSemSegEvaluator` of a registered data set."""

    stands_for = evaluation.CityscapesSemSegEvaluator

    def __init__(self, dataset_name: str) -> None:
        from lazycfg.data import CityscapesSemSeg

        super().__init__(dataset=_cityscapes(CityscapesSemSeg, dataset_name))


def _cityscapes(cls: Any, dataset_name: str) -> Any:
    from .catalogs import MetadataCatalog

    known = MetadataCatalog.get(dataset_name)
    image_dir = known.get("image_dir") or known.image_root  # panoptic data sets have the latter
    return cls(image_dir=image_dir, gt_dir=known.gt_dir, name=dataset_name)


def inference_on_dataset(
    model: Any,
    data_loader: Any,
    evaluator: Any,
    callbacks: Mapping[str, Callable[[], Any]] | None = None,
) -> Any:
    """Run a model over a loader and return what the evaluator says of it.

    Args:
        callbacks: functions to call, by "on_start", "before_inference", "after_inference" and "on_end".
    """
    calls = dict(callbacks or {})

    def call(moment: str) -> None:
        calls.get(moment, lambda: None)()

    call("on_start")
    if not calls:
        return evaluation.inference_on_dataset(model, data_loader, evaluator)

    def observed(inputs: Any) -> Any:
        call("before_inference")
        outputs = model(inputs)
        call("after_inference")
        return outputs

    with inference_context(model):
        results = evaluation.inference_on_dataset(observed, data_loader, evaluator)
    call("on_end")
    return results


def instances_to_coco_json(instances: Instances, img_id: Any) -> list[dict[str, Any]]:
    """Return detections as the entries of a file of results in COCO's format; classes keep their numbers.

    Masks are run lengths whose "counts" are text; keypoints are flat, pixel indices.
    """
    results = evaluation.instances_to_coco_json(instances, img_id)
    for result in results:
        rle = result.get("segmentation")
        if isinstance(rle, dict) and isinstance(rle["counts"], bytes):
            result["segmentation"] = {**rle, "counts": rle["counts"].decode("utf-8")}
    return results


def flatten_results_dict(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested results as ``{"bbox/AP": ...}``."""
    return flatten_results(results)


def verify_results(cfg: Any, results: Mapping[str, Any]) -> bool:
    """Compare results with ``cfg.TEST.EXPECTED_RESULTS``: lists of task, metric, expected value and
    tolerance.

    Returns:
        true; where they differ the program ends with status 1.
    """
    try:
        evaluation.verify_results(results, cfg.TEST.EXPECTED_RESULTS)
    except AssertionError as error:
        logger.error("%s", error)
        raise SystemExit(1) from None
    return True
