"""COCO's metrics for boxes, masks, keypoints and proposals, on any dataset object."""

from __future__ import annotations

import copy
import inspect
import logging
import os
import pickle
from collections import Counter
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, get_args

from lazycfg.evaluation.analysis import analyse_detections, analysis_metrics
from lazycfg.evaluation.coco_engines import ENGINES, Engine, IouType
from lazycfg.evaluation.coco_ground_truth import category_ids, coco_ground_truth
from lazycfg.evaluation.coco_scores import CocoScores, coco_scores, too_many_objects
from lazycfg.evaluation.details import curve_details, detection_details
from lazycfg.evaluation.evaluator import DatasetEvaluator, ImageQuality, Results
from lazycfg.evaluation.json_files import to_json
from lazycfg.evaluation.matching import match_detections
from lazycfg.evaluation.predictions import ImagePrediction
from lazycfg.evaluation.proposals import ImageProposals, proposal_recall
from lazycfg.evaluation.tables import metrics_table, per_class_table
from lazycfg.structures import BoxMode
from lazycfg.utils import atomic_write, closest, gather, is_main_process

__all__ = ["COCOEvaluator"]

logger = logging.getLogger(__name__)


class COCOEvaluator(DatasetEvaluator):
    """Measure AP as COCO defines it, for boxes, masks and keypoints; average recall for proposals.

    The truth is taken from the records of the dataset object, so anything that can be trained on can be
    evaluated. Masks are encoded from small windows and kept as run lengths.

    The results of a task are percentages: AP, AP50, AP75, APs, APm, APl and ``AP-<class>``. NaN stands for
    "nothing to be found", and the log says why.

    Args:
        dataset: has ``metadata`` with the class names, and records.
        tasks: any of "bbox", "segm", "keypoints", "box_proposals"; None does what the predictions allow.
        output_dir: if given, ``coco_instances_results.json`` (COCO's format for results) and
            ``coco_per_class_<task>.json`` (AP, AP50, AR and precision-recall curve of every class) are
            written there; and the proposals, if there are any, as ``box_proposals.pkl``.
        max_dets_per_image: how many detections of an image count, the best first; None is COCO's 100, and 20
            for keypoints.
        kpt_oks_sigmas: tolerance of each keypoint; default: the dataset's, else those of COCO's 17.
        analysis: for boxes and masks, also say where detections go wrong, see `analyse_detections`: results
            of the tasks ``bbox_analysis`` and ``segm_analysis`` (see `analysis_metrics`), and everything in
            ``coco_analysis_<task>.json`` in `output_dir`.
        engine: the package that compares, see `coco_scores`; None takes the fastest that can.
        distributed: gather the predictions of all processes. False: each process evaluates what it saw.
    """

    rotated = False
    """Whether the boxes compared are rotated ones."""
    explained = True
    """Whether all objects are annotated, so that detections of nothing are mistakes, see `details`."""
    results_file = "coco_instances_results.json"
    """The file of detections in `output_dir`."""

    def __init__(
        self,
        *,
        dataset: Any,
        tasks: Sequence[str] | None = None,
        output_dir: str | os.PathLike[str] | None = None,
        max_dets_per_image: int | None = None,
        kpt_oks_sigmas: Sequence[float] | None = None,
        analysis: bool = False,
        engine: Engine | None = None,
        distributed: bool = True,
    ) -> None:
        known = (*get_args(IouType), "box_proposals")
        for task in tasks or ():
            if task not in known:
                raise ValueError(f"tasks: {task!r} is not one of {list(known)}{closest(task, known)}")
        if engine is not None and engine not in ENGINES:
            raise ValueError(f"engine: {engine!r} is not one of {list(ENGINES)}{closest(engine, ENGINES)}")
        self.dataset = dataset
        self.tasks = None if tasks is None else tuple(tasks)
        self.output_dir = None if output_dir is None else Path(output_dir)
        self.max_dets_per_image = max_dets_per_image
        sigmas = kpt_oks_sigmas or getattr(dataset.metadata, "keypoint_oks_sigmas", None) or ()
        self.kpt_oks_sigmas = tuple(sigmas)
        self.analysis = analysis
        self.engine: Engine | None = engine
        self.distributed = distributed
        self.scores: dict[str, CocoScores] = {}
        """Of the last evaluation, by task: per-class numbers and curves."""
        self._ground_truth: dict[str, Any] | None = None
        self._compared: tuple[dict[str, Any], list[dict[str, Any]]] | None = None
        self._predictions: list[ImagePrediction] = []
        self._proposals: list[ImageProposals] = []

    def reset(self) -> None:
        """Forget all predictions; the ground truth is kept."""
        self._predictions = []
        self._proposals = []
        self._compared = None
        self.scores = {}

    def process(self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
        """Take in the predictions for a batch.

        Args:
            inputs: dicts with "image_id".
            outputs: dicts with "instances" (in pixels of the original image) and perhaps "proposals".

        Raises:
            ValueError: an input without "image_id", or rotated boxes
        """
        for item, output in zip(inputs, outputs, strict=True):
            if "image_id" not in item:
                raise ValueError(
                    f"an input has no 'image_id' (it has {', '.join(item)}), which tells whose predictions "
                    "these are: give each record of the data set one"
                )
            if "instances" in output:
                found = ImagePrediction.from_instances(item["image_id"], output["instances"])
                if found.boxes.shape[1] == 5 and not self.rotated:
                    raise ValueError("the boxes predicted are rotated: RotatedCOCOEvaluator evaluates them")
                self._predictions.append(found)
            if "proposals" in output:
                self._proposals.append(ImageProposals.from_instances(item["image_id"], output["proposals"]))

    def evaluate(self, img_ids: Sequence[Any] | None = None) -> Results | None:
        """Compare what was found with the dataset.

        Args:
            img_ids: only these images; default: all of the dataset.
        """
        predictions, proposals = self._predictions, self._proposals
        if self.distributed:
            predictions = [p for part in gather(predictions) for p in part]
            proposals = [p for part in gather(proposals) for p in part]
            if not is_main_process():
                return None
        if self._ground_truth is None:
            self._ground_truth = self.ground_truth()
        truth = self._ground_truth
        if not predictions and not proposals:
            logger.warning("%s was given no predictions: were there any images?", type(self).__name__)
            return {}

        # An image may come twice where a sampler pads the last round of processes.
        predictions = list({prediction.image_id: prediction for prediction in predictions}.values())
        proposals = list({proposal.image_id: proposal for proposal in proposals}.values())
        expected = len(truth["images"]) if img_ids is None else len(img_ids)
        seen = max(len(predictions), len(proposals))
        if seen < expected:
            logger.warning("only %d of %d images were predicted; the others count as empty", seen, expected)
        _warn_of_cut_predictions(predictions, truth)

        ids = category_ids(self.dataset.metadata, len(truth["categories"]))
        detections = self.countable(
            [detection for prediction in predictions for detection in prediction.to_coco(ids)]
        )
        self._write(self.results_file, detections)
        self._compared = truth, detections
        results: Results = {}
        for task in self._choose_tasks(predictions, proposals, truth):
            if task == "box_proposals":
                self._write_proposals(proposals)
                results[task] = proposal_recall(truth, proposals)
                logger.info("Recall of proposals:\n%s", metrics_table(results[task]))
            else:
                results[task] = self._evaluate_task(task, truth, detections, img_ids)
                if self.analysis and task in ("bbox", "segm"):
                    results[f"{task}_analysis"] = self._analyse(task, truth, detections, img_ids)
        return results

    def details(self) -> tuple[Results, ImageQuality]:
        """Return classes and curves of each task; of boxes (else masks) also confusion, kinds of mistakes,
        and the F1 of each image.
        """
        found: Results = {
            task: {"per_class": scores.per_class(), "curves": _curves(scores)}
            for task, scores in self.scores.items()
            if isinstance(scores, CocoScores)
        }
        compared, self._compared = self._compared, None
        quality: ImageQuality = {}
        task: Literal["bbox", "segm"] = "bbox" if "bbox" in found else "segm"
        if compared is not None and self.explained and task in found:
            truth, detections = compared
            limit = self.scores[task].max_dets[-1]
            matching = match_detections(self._usable(task, truth), detections, task, max_dets=limit)
            names = [str(category["name"]) for category in truth["categories"]]
            more, quality = detection_details(matching, names)
            found[task] |= more
        return found, quality

    def ground_truth(self) -> dict[str, Any]:
        """Return the records of the data set in the form of a COCO file, for a subclass that needs more."""
        return coco_ground_truth(self.dataset, rotated=self.rotated)

    def countable(self, detections: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the detections that are written and compared: for a subclass that leaves some out."""
        return detections

    def try_out(
        self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]
    ) -> Results | None:
        """Evaluate a batch and forget it again, see `DatasetEvaluator.try_out`.

        The ground truth is built, and kept for the evaluations to come. A subclass whose `evaluate` takes no
        `img_ids` is evaluated on the whole data set, in which all images but these count as empty.

        Raises:
            ValueError: the model predicts nothing for one of `tasks`, or `evaluate` returned None
        """
        trial = copy.copy(self)
        trial.output_dir, trial.distributed = None, False
        trial.reset()
        trial.process(inputs, outputs)
        for task, field in (("segm", "rles"), ("keypoints", "keypoints")):
            if task in (self.tasks or ()) and any(getattr(p, field) is None for p in trial._predictions):
                raise ValueError(f"tasks has {task!r}, and the model predicts no such thing")
        if "img_ids" in inspect.signature(trial.evaluate).parameters:
            results = trial.evaluate(img_ids=[item["image_id"] for item in inputs])
        else:
            results = trial.evaluate()
        if results is None:
            raise ValueError(f"{type(self).__name__}.evaluate returned None: does it end in `return`?")
        self._ground_truth = trial._ground_truth
        self._warn_of_many_objects()
        return results or None

    def _warn_of_many_objects(self) -> None:
        """Warn where not all objects of an image can be found, since so many detections do not count."""
        assert self._ground_truth is not None
        limit = self.max_dets_per_image or 100
        objects = (a for a in self._ground_truth["annotations"] if not a["iscrowd"])
        counts = Counter((a["image_id"], a["category_id"]) for a in objects)
        (image_id, _), most = max(counts.items(), key=itemgetter(1), default=((None, None), 0))
        if most > limit:
            logger.warning("%s", too_many_objects(most, image_id, limit))

    def _choose_tasks(
        self, predictions: list[ImagePrediction], proposals: list[ImageProposals], truth: Mapping[str, Any]
    ) -> list[str]:
        if self.tasks is not None:
            return list(self.tasks)
        tasks = ["box_proposals"] if proposals else []
        if predictions:
            tasks.append("bbox")
            for task, found, field in (
                ("segm", any(p.rles is not None for p in predictions), "segmentation"),
                ("keypoints", any(p.keypoints is not None for p in predictions), "keypoints"),
            ):
                annotated = not truth["annotations"] or any(field in a for a in truth["annotations"])
                if found and annotated:
                    tasks.append(task)
                elif found:
                    logger.warning("the dataset has no %s, so %s is not evaluated", field, task)
        return tasks

    def _evaluate_task(
        self,
        task: Any,
        truth: Mapping[str, Any],
        detections: list[dict[str, Any]],
        img_ids: Sequence[Any] | None,
    ) -> dict[str, float]:
        max_dets = None
        if self.max_dets_per_image is not None:
            limit = self.max_dets_per_image
            max_dets = (
                (limit,) if task == "keypoints" else tuple(sorted({min(1, limit), min(10, limit), limit}))
            )
        scores = coco_scores(
            self._usable(task, truth),
            detections,
            task,
            max_dets=max_dets,
            kpt_oks_sigmas=self.kpt_oks_sigmas,
            img_ids=img_ids,
            engine=self.engine,
        )
        self.scores[task] = scores
        metrics = scores.metrics()
        per_class = scores.per_class()
        logger.info(
            "Evaluation results for %s (max_dets %d):\n%s",
            task,
            scores.max_dets[-1],
            metrics_table({**metrics, **scores.recalls()}),
        )
        cut = scores.truncations()
        for said in scores.explanations():
            logger.log(logging.WARNING if said in cut else logging.INFO, "%s: %s", task, said)
        if len(per_class) > 1:
            logger.info("Per class, %s:\n%s", task, per_class_table(per_class))
            metrics |= {f"AP-{row['class']}": row["AP"] for row in per_class}
        for index, row in enumerate(per_class):
            row["max_dets"] = scores.max_dets[-1]
            row["precision50"] = [round(float(p), 4) for p in scores.precision_recall(index)[1]]
        self._write(f"coco_per_class_{task}.json", per_class)
        return metrics

    def _analyse(
        self,
        task: Any,
        truth: Mapping[str, Any],
        detections: list[dict[str, Any]],
        img_ids: Sequence[Any] | None,
    ) -> dict[str, float]:
        truth, detections = of_images(self._usable(task, truth), detections, img_ids)
        analysis = analyse_detections(truth, detections, task, max_dets=self.scores[task].max_dets[-1])
        self._write(f"coco_analysis_{task}.json", analysis)
        metrics = analysis_metrics(analysis)
        logger.info("Analysis of %s:\n%s", task, metrics_table(metrics))
        return metrics

    def _usable(self, task: str, truth: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the truth without the objects whose masks cannot be used, where masks are compared."""
        usable = [a for a in truth["annotations"] if not a.get("unusable")]
        if task != "segm" or len(usable) == len(truth["annotations"]):
            return truth
        count = len(truth["annotations"]) - len(usable)
        logger.warning("segm: %d object(s) left out of the truth: their masks cannot be used", count)
        return {**truth, "annotations": usable}

    def _write_proposals(self, proposals: Sequence[ImageProposals]) -> None:
        """As a file that `load_proposals_into_dataset` reads."""
        if self.output_dir is None or any(p.objectness_logits is None for p in proposals):
            return
        content = {
            "boxes": [p.boxes for p in proposals],
            "objectness_logits": [p.objectness_logits for p in proposals],
            "ids": [p.image_id for p in proposals],
            "bbox_mode": int(BoxMode.XYXY_ABS),
        }
        self.output_dir.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.output_dir / "box_proposals.pkl") as partial:
            partial.write_bytes(pickle.dumps(content, protocol=4))

    def _write(self, name: str, content: Any) -> None:
        if self.output_dir is not None:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.output_dir / name) as partial:
                partial.write_text(to_json(content))


def _curves(scores: CocoScores) -> dict[str, Any]:
    objects = scores.num_objects[:, 0].tolist()
    return curve_details(
        scores.class_names, objects, lambda index: scores.precision_recall(index, iou=0.5)[1]
    )


def _warn_of_cut_predictions(predictions: Sequence[ImagePrediction], truth: Mapping[str, Any]) -> None:
    """Warn where the model seems to have returned as many detections as it may, fewer than objects."""
    most = max((len(prediction.scores) for prediction in predictions), default=0)
    objects = Counter(a["image_id"] for a in truth["annotations"] if not a["iscrowd"])
    cut = [p.image_id for p in predictions if len(p.scores) == most < objects[p.image_id]]
    if most and len(cut) > 1:
        logger.warning(
            "no image has more than %d detections, and %d images with just so many have more objects (%r has "
            "%d): if that is a limit of the model, raise it (test_topk_per_image of its box predictor)",
            most,
            len(cut),
            cut[0],
            objects[cut[0]],
        )


def of_images(
    truth: Mapping[str, Any], detections: list[dict[str, Any]], img_ids: Sequence[Any] | None
) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
    """Return the ground truth and the detections of some images; of all if `img_ids` is None."""
    if img_ids is None:
        return truth, detections
    wanted = set(img_ids)
    images = [image for image in truth["images"] if image["id"] in wanted]
    annotations = [annotation for annotation in truth["annotations"] if annotation["image_id"] in wanted]
    kept = [detection for detection in detections if detection["image_id"] in wanted]
    return {**truth, "images": images, "annotations": annotations}, kept
