"""Datasets: objects that give records and carry their metadata."""

from .ade20k import ADE20K_CLASSES, ADE20KSemSeg
from .annotated import WHERE, AnnotatedImages
from .base import DatasetFromList, DetectionDataset, Record, SerializedList, get_annotations, get_image_sizes
from .cityscapes import CityscapesInstances, CityscapesPanoptic, CityscapesSemSeg
from .coco import CocoDataset, load_coco_json
from .coco_export import convert_to_coco_dict, convert_to_coco_json, export_coco
from .coco_files import candidate_roots
from .coco_keypoints import (
    COCO_PERSON_KEYPOINT_CONNECTION_RULES,
    COCO_PERSON_KEYPOINT_FLIP_MAP,
    COCO_PERSON_KEYPOINT_HFLIP_INDICES,
    COCO_PERSON_KEYPOINT_NAMES,
    COCO_PERSON_KEYPOINT_OKS_SIGMAS,
)
from .coco_panoptic import CocoPanopticDataset
from .coco_validation import AnnotationError
from .lvis import FederatedClassWeights, LVISDataset, get_fed_loss_cls_weights
from .metadata import Metadata
from .proposals import ProposalsDataset, load_proposals_into_dataset, read_proposals
from .readers.box_csv import BoxCSVDataset
from .readers.cvat import CVATDataset
from .readers.hugging_face import HuggingFaceDataset
from .readers.instance_masks import InstanceMaskDataset
from .readers.labelme import LabelMeDataset
from .readers.recognise import Part, find_parts, open_dataset
from .readers.voc import VOC_CLASSES, VOCDataset
from .readers.yolo import YoloDataset
from .sem_seg import SemSegDataset, load_sem_seg
from .shapes import ShapesDataset
from .summary import DatasetSummary, check_dataset, summarize
from .wrappers import (
    ConcatDataset,
    FilteredDataset,
    SubsetDataset,
    filter_images_with_few_keypoints,
    filter_images_with_only_crowd_annotations,
    get_detection_dataset_dicts,
)

__all__ = [
    "ADE20K_CLASSES",
    "COCO_PERSON_KEYPOINT_CONNECTION_RULES",
    "COCO_PERSON_KEYPOINT_FLIP_MAP",
    "COCO_PERSON_KEYPOINT_HFLIP_INDICES",
    "COCO_PERSON_KEYPOINT_NAMES",
    "COCO_PERSON_KEYPOINT_OKS_SIGMAS",
    "VOC_CLASSES",
    "WHERE",
    "ADE20KSemSeg",
    "AnnotatedImages",
    "AnnotationError",
    "BoxCSVDataset",
    "CVATDataset",
    "CityscapesInstances",
    "CityscapesPanoptic",
    "CityscapesSemSeg",
    "CocoDataset",
    "CocoPanopticDataset",
    "ConcatDataset",
    "DatasetFromList",
    "DatasetSummary",
    "DetectionDataset",
    "FederatedClassWeights",
    "FilteredDataset",
    "HuggingFaceDataset",
    "InstanceMaskDataset",
    "LVISDataset",
    "LabelMeDataset",
    "Metadata",
    "Part",
    "ProposalsDataset",
    "Record",
    "SemSegDataset",
    "SerializedList",
    "ShapesDataset",
    "SubsetDataset",
    "VOCDataset",
    "YoloDataset",
    "candidate_roots",
    "check_dataset",
    "convert_to_coco_dict",
    "convert_to_coco_json",
    "export_coco",
    "filter_images_with_few_keypoints",
    "filter_images_with_only_crowd_annotations",
    "find_parts",
    "get_annotations",
    "get_detection_dataset_dicts",
    "get_fed_loss_cls_weights",
    "get_image_sizes",
    "load_coco_json",
    "load_proposals_into_dataset",
    "load_sem_seg",
    "open_dataset",
    "read_proposals",
    "summarize",
]
