"""Names of ``detectron2.data`` and ``detectron2.evaluation``."""

from __future__ import annotations

from ._table import Table, at, gone, here

_CATALOGS = here("catalogs", "DatasetCatalog Metadata MetadataCatalog")
_BUILD: Table = {
    **here(
        "loaders",
        "build_batch_data_loader build_detection_test_loader build_detection_train_loader "
        "get_detection_dataset_dicts "
        "load_proposals_into_dataset print_instances_class_histogram",
    ),
    **here("loaders", "filter_images_with_few_keypoints filter_images_with_only_crowd_annotations"),
    **at("lazycfg.data", "trivial_batch_collator"),
    **here("loaders", "worker_init_reset_seed"),
}
_COMMON = here("loaders", "AspectRatioGroupedDataset DatasetFromList MapDataset ToIterableDataset")
_SAMPLERS: Table = {
    **here(
        "samplers", "InferenceSampler RandomSubsetTrainingSampler RepeatFactorTrainingSampler TrainingSampler"
    ),
    **gone("build_detection_train_loader groups images by their aspect ratio", "GroupedBatchSampler"),
}
_UTILS = here(
    "detection_utils",
    "SizeMismatchError annotations_to_instances annotations_to_instances_rotated build_augmentation "
    "build_transform_gen check_image_size check_metadata_consistency convert_PIL_to_numpy "
    "convert_image_to_rgb "
    "create_keypoint_hflip_indices filter_empty_instances gen_crop_transform_with_instance "
    "get_fed_loss_cls_weights read_image transform_instance_annotations transform_keypoint_annotations "
    "transform_proposals BoxMode Boxes Instances Keypoints BitMasks PolygonMasks RotatedBoxes "
    "polygons_to_bitmask _apply_exif_orientation",
)
_FVCORE_TRANSFORMS: Table = {
    **here(
        "transforms", "BlendTransform CropTransform GridSampleTransform PadTransform ScaleTransform Transform"
    ),
    **here("transforms", "HFlipTransform NoOpTransform TransformList VFlipTransform"),
}
_TRANSFORMS: Table = {
    **here(
        "transforms",
        "ColorTransform ExtentTransform PILColorTransform ResizeTransform RotationTransform",
    ),
}
_TRANSFORMS |= gone("Transform.apply_rotated_box does it", "HFlip_rotated_box Resize_rotated_box")
_AUGMENTATION = here(
    "transforms",
    "AugInput Augmentation AugmentationList StandardAugInput TransformGen apply_augmentations "
    "apply_transform_gens",
)
_AUGMENTATIONS: Table = {
    **here(
        "transforms",
        "FixedSizeCrop MinIoURandomCrop RandomApply RandomBrightness RandomContrast RandomCrop "
        "RandomCrop_CategoryAreaConstraint RandomExtent RandomFlip RandomLighting RandomResize "
        "RandomRotation "
        "RandomSaturation Resize ResizeScale ResizeShortestEdge",
    ),
}
_COCO = here(
    "coco", "convert_to_coco_dict convert_to_coco_json load_coco_json load_sem_seg register_coco_instances"
)
_PANOPTIC = here(
    "coco",
    "load_coco_panoptic_json merge_to_panoptic register_coco_panoptic register_coco_panoptic_separated",
)
_LVIS = here("coco", "get_lvis_instances_meta load_lvis_json register_lvis_instances")
_VOC = here("coco", "load_voc_instances register_pascal_voc CLASS_NAMES")
_CITYSCAPES = here("coco", "load_cityscapes_instances load_cityscapes_semantic")
_EVALUATORS = here(
    "evaluators",
    "COCOEvaluator COCOPanopticEvaluator CityscapesInstanceEvaluator CityscapesSemSegEvaluator LVISEvaluator "
    "PascalVOCDetectionEvaluator RotatedCOCOEvaluator SemSegEvaluator",
)
_EVALUATOR: Table = {
    **at("lazycfg.evaluation", "DatasetEvaluator DatasetEvaluators"),
    **here("evaluators", "inference_context inference_on_dataset"),
}
_EVALUATION_TESTS = here("evaluators", "print_csv_format verify_results flatten_results_dict")


def _only(table: Table, names: str) -> Table:
    return {name: table[name] for name in names.split()}


DATA: dict[str, Table] = {
    "detectron2.data": {**_CATALOGS, **_BUILD, **_COMMON, **here("mapper", "DatasetMapper")},
    "detectron2.data.benchmark": at("lazycfg.data", "DataLoaderBenchmark"),
    "detectron2.data.build": {**_BUILD, **_CATALOGS, **_COMMON},
    "detectron2.data.catalog": _CATALOGS,
    "detectron2.data.common": _COMMON,
    "detectron2.data.dataset_mapper": here("mapper", "DatasetMapper"),
    "detectron2.data.datasets": {**_COCO, **_PANOPTIC, **_LVIS, **_VOC},
    "detectron2.data.datasets.builtin": here(
        "coco",
        "register_all_ade20k register_all_cityscapes register_all_coco register_all_lvis "
        "register_all_pascal_voc "
        "_PREDEFINED_SPLITS_COCO _PREDEFINED_SPLITS_COCO_PANOPTIC _PREDEFINED_SPLITS_LVIS "
        "_get_builtin_metadata",
    ),
    "detectron2.data.datasets.builtin_meta": here(
        "builtin_meta",
        "ADE20K_SEM_SEG_CATEGORIES CITYSCAPES_CATEGORIES COCO_CATEGORIES COCO_PERSON_KEYPOINT_FLIP_MAP "
        "COCO_PERSON_KEYPOINT_NAMES KEYPOINT_CONNECTION_RULES _get_builtin_metadata _get_coco_instances_meta "
        "_get_coco_panoptic_separated_meta",
    ),
    "detectron2.data.datasets.cityscapes": _CITYSCAPES,
    "detectron2.data.datasets.cityscapes_panoptic": here(
        "coco", "load_cityscapes_panoptic register_all_cityscapes_panoptic"
    ),
    "detectron2.data.datasets.coco": _COCO,
    "detectron2.data.datasets.coco_panoptic": _PANOPTIC,
    "detectron2.data.datasets.lvis": _LVIS,
    "detectron2.data.datasets.lvis_v0_5_categories": gone(
        "lazycfg.data.LVISDataset reads the classes of the annotation file", "LVIS_CATEGORIES"
    ),
    "detectron2.data.datasets.lvis_v1_categories": gone(
        "lazycfg.data.LVISDataset reads the classes of the annotation file", "LVIS_CATEGORIES"
    ),
    "detectron2.data.datasets.lvis_v1_category_image_count": gone(
        "lazycfg.data.FederatedClassWeights counts in the annotation file", "LVIS_CATEGORY_IMAGE_COUNT"
    ),
    "detectron2.data.datasets.pascal_voc": _VOC,
    "detectron2.data.datasets.register_coco": here(
        "coco", "register_coco_instances register_coco_panoptic_separated"
    ),
    "detectron2.data.detection_utils": _UTILS,
    "detectron2.data.samplers": _SAMPLERS,
    "detectron2.data.samplers.distributed_sampler": _SAMPLERS,
    "detectron2.data.samplers.grouped_batch_sampler": _only(_SAMPLERS, "GroupedBatchSampler"),
    "detectron2.data.transforms": {**_FVCORE_TRANSFORMS, **_TRANSFORMS, **_AUGMENTATION, **_AUGMENTATIONS},
    "detectron2.data.transforms.augmentation": {
        **_AUGMENTATION,
        **here("transforms", "_get_aug_input_args _transform_to_aug"),
    },
    "detectron2.data.transforms.augmentation_impl": {**_AUGMENTATIONS, **_AUGMENTATION},
    "detectron2.data.transforms.transform": {**_TRANSFORMS, **_FVCORE_TRANSFORMS},
    "detectron2.data.transforms.transform_gen": {**_AUGMENTATION, **_AUGMENTATIONS},
    "detectron2.evaluation": {**_EVALUATORS, **_EVALUATOR, **_EVALUATION_TESTS},
    "detectron2.evaluation.cityscapes_evaluation": _only(
        _EVALUATORS, "CityscapesInstanceEvaluator CityscapesSemSegEvaluator"
    ),
    "detectron2.evaluation.coco_evaluation": {
        **_only(_EVALUATORS, "COCOEvaluator"),
        **here("evaluators", "instances_to_coco_json"),
        **gone(
            "use COCOEvaluator, or lazycfg.evaluation.coco_scores",
            "_evaluate_box_proposals _evaluate_predictions_on_coco COCOevalMaxDets",
        ),
    },
    "detectron2.evaluation.evaluator": _EVALUATOR,
    "detectron2.evaluation.fast_eval_api": gone(
        "COCOEvaluator has a fast implementation of its own, or use lazycfg.evaluation.coco_scores",
        "COCOeval_opt",
    ),
    "detectron2.evaluation.lvis_evaluation": _only(_EVALUATORS, "LVISEvaluator"),
    "detectron2.evaluation.panoptic_evaluation": _only(_EVALUATORS, "COCOPanopticEvaluator"),
    "detectron2.evaluation.pascal_voc_evaluation": _only(_EVALUATORS, "PascalVOCDetectionEvaluator"),
    "detectron2.evaluation.rotated_coco_evaluation": _only(_EVALUATORS, "RotatedCOCOEvaluator"),
    "detectron2.evaluation.sem_seg_evaluation": {
        **_only(_EVALUATORS, "SemSegEvaluator"),
        **here("detection_utils", "load_image_into_numpy_array"),
    },
    "detectron2.evaluation.testing": _EVALUATION_TESTS,
}
