"""Evaluation: evaluators, and the loop that runs a model over a dataset."""

from .analysis import analyse_detections
from .cityscapes_instances import CityscapesInstanceEvaluator
from .cityscapes_sem_seg import CityscapesSemSegEvaluator
from .coco import COCOEvaluator
from .coco_ground_truth import coco_ground_truth
from .coco_scores import CocoScores, coco_scores
from .evaluator import (
    DatasetEvaluator,
    DatasetEvaluators,
    EvaluationInterrupted,
    inference_context,
    inference_on_dataset,
)
from .json_files import evaluate_json, read_results, to_json
from .lvis import LVISEvaluator
from .lvis_scores import lvis_scores
from .openimages import OpenImagesEvaluator
from .openimages_scores import openimages_scores
from .panoptic import COCOPanopticEvaluator
from .pascal_voc import PascalVOCDetectionEvaluator
from .predictions import instances_to_coco_json
from .rotated_coco import RotatedCOCOEvaluator
from .sem_seg import SemSegEvaluator
from .tables import print_csv_format
from .verify import verify_results

__all__ = [
    "COCOEvaluator",
    "COCOPanopticEvaluator",
    "CityscapesInstanceEvaluator",
    "CityscapesSemSegEvaluator",
    "CocoScores",
    "DatasetEvaluator",
    "DatasetEvaluators",
    "EvaluationInterrupted",
    "LVISEvaluator",
    "OpenImagesEvaluator",
    "PascalVOCDetectionEvaluator",
    "RotatedCOCOEvaluator",
    "SemSegEvaluator",
    "analyse_detections",
    "coco_ground_truth",
    "coco_scores",
    "evaluate_json",
    "inference_context",
    "inference_on_dataset",
    "instances_to_coco_json",
    "lvis_scores",
    "openimages_scores",
    "print_csv_format",
    "read_results",
    "to_json",
    "verify_results",
]
