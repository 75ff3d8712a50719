"""Names that modules of detectron2 import for their own use, and that programs import from there."""

from __future__ import annotations

from collections.abc import Mapping

from ._table import Table

__all__ = ["with_reexported"]

_FPN_PARTS = "detectron2.modeling.backbone: Backbone BACKBONE_REGISTRY build_resnet_backbone"
_LAYERS = "detectron2.layers: Conv2d ShapeSpec get_norm"
_STRUCTURES = "detectron2.structures: Boxes ImageList Instances pairwise_iou"
_EVENTS = "detectron2.utils.events: get_event_storage"
_CONFIGURABLE = "detectron2.config: configurable"
_CODEC = "detectron2.modeling.box_regression: Box2BoxTransform _dense_box_regression_loss"
_MATCHING = "detectron2.modeling: Matcher subsample_labels"
_POOLER = "detectron2.modeling.poolers: ROIPooler"
_CATALOGS = "detectron2.data: DatasetCatalog MetadataCatalog"
_EVALUATOR = "detectron2.evaluation: DatasetEvaluator"
_FILES = "detectron2.utils.file_io: PathManager"

_ALSO: dict[str, tuple[str, ...]] = {
    "detectron2.modeling": ("detectron2.layers: ShapeSpec",),
    "detectron2.modeling.backbone.backbone": ("detectron2.layers: ShapeSpec",),
    "detectron2.modeling.backbone.build": (
        "detectron2.layers: ShapeSpec",
        "detectron2.modeling.backbone: Backbone",
    ),
    "detectron2.modeling.backbone.fpn": (_FPN_PARTS, _LAYERS),
    "detectron2.modeling.backbone.resnet": (
        _LAYERS,
        "detectron2.layers: CNNBlockBase DeformConv ModulatedDeformConv",
        "detectron2.modeling.backbone: Backbone BACKBONE_REGISTRY",
    ),
    "detectron2.modeling.backbone.vit": (
        "detectron2.modeling.backbone: Backbone",
        "detectron2.modeling.backbone.utils: PatchEmbed add_decomposed_rel_pos get_abs_pos window_partition "
        "window_unpartition",
    ),
    "detectron2.modeling.backbone.swin": ("detectron2.modeling.backbone: Backbone",),
    "detectron2.modeling.anchor_generator": ("detectron2.layers: ShapeSpec move_device_like",),
    "detectron2.modeling.box_regression": ("detectron2.structures: Boxes",),
    "detectron2.modeling.meta_arch.rcnn": (
        _CONFIGURABLE,
        _STRUCTURES,
        _EVENTS,
        "detectron2.modeling: Backbone build_backbone build_proposal_generator build_roi_heads "
        "detector_postprocess",
        "detectron2.data.detection_utils: convert_image_to_rgb",
    ),
    "detectron2.modeling.meta_arch.retinanet": (
        _CODEC,
        _MATCHING,
        _STRUCTURES,
        "detectron2.modeling: Backbone build_anchor_generator build_backbone",
        "detectron2.modeling.meta_arch.dense_detector: DenseDetector",
    ),
    "detectron2.modeling.meta_arch.semantic_seg": (
        _LAYERS,
        "detectron2.modeling: Backbone build_backbone sem_seg_postprocess",
    ),
    "detectron2.modeling.proposal_generator.rpn": (
        _CODEC,
        _MATCHING,
        _STRUCTURES,
        "detectron2.modeling: build_anchor_generator",
        "detectron2.modeling.proposal_generator.proposal_utils: find_top_rpn_proposals",
    ),
    "detectron2.modeling.proposal_generator.proposal_utils": (
        _STRUCTURES,
        "detectron2.layers: batched_nms cat move_device_like",
    ),
    "detectron2.modeling.roi_heads.box_head": (_LAYERS, _CONFIGURABLE),
    "detectron2.modeling.roi_heads.cascade_rcnn": (
        _CODEC,
        _MATCHING,
        _POOLER,
        _STRUCTURES,
        _EVENTS,
        "detectron2.modeling.roi_heads: FastRCNNOutputLayers ROI_HEADS_REGISTRY StandardROIHeads "
        "build_box_head fast_rcnn_inference",
    ),
    "detectron2.modeling.roi_heads.fast_rcnn": (
        _CODEC,
        _CONFIGURABLE,
        _STRUCTURES,
        _EVENTS,
        "detectron2.layers: ShapeSpec batched_nms cat cross_entropy nonzero_tuple",
    ),
    "detectron2.modeling.roi_heads.mask_head": (
        _LAYERS,
        _CONFIGURABLE,
        _STRUCTURES,
        _EVENTS,
        "detectron2.layers: ConvTranspose2d cat",
    ),
    "detectron2.modeling.roi_heads.roi_heads": (
        _CONFIGURABLE,
        _MATCHING,
        _POOLER,
        _STRUCTURES,
        _EVENTS,
        "detectron2.layers: ShapeSpec nonzero_tuple",
        "detectron2.modeling.backbone: BottleneckBlock ResNet",
        "detectron2.modeling.proposal_generator.proposal_utils: add_ground_truth_to_proposals",
        "detectron2.modeling.roi_heads: BaseKeypointRCNNHead FastRCNNOutputLayers build_box_head "
        "build_keypoint_head build_mask_head",
    ),
    "detectron2.data.build": ("detectron2.data.detection_utils: check_metadata_consistency",),
    "detectron2.data.dataset_mapper": (_CONFIGURABLE,),
    "detectron2.data.datasets.coco": (
        _CATALOGS,
        "detectron2.structures: Boxes BoxMode PolygonMasks RotatedBoxes",
    ),
    "detectron2.data.datasets.lvis": (_CATALOGS, "detectron2.structures: BoxMode"),
    "detectron2.data.datasets.register_coco": ("detectron2.data.datasets: register_coco_panoptic",),
    "detectron2.engine.defaults": (
        _CATALOGS,
        _FILES,
        "detectron2.checkpoint: DetectionCheckpointer",
        "detectron2.config: CfgNode LazyConfig",
        "detectron2.data: build_detection_test_loader build_detection_train_loader",
        "detectron2.evaluation: DatasetEvaluator inference_on_dataset print_csv_format verify_results",
        "detectron2.modeling: build_model",
        "detectron2.solver: build_lr_scheduler build_optimizer",
        "detectron2.utils.collect_env: collect_env_info",
        "detectron2.utils.env: seed_all_rng",
        "detectron2.utils.events: CommonMetricPrinter JSONWriter TensorboardXWriter",
        "detectron2.utils.logger: setup_logger",
    ),
    "detectron2.engine.hooks": (
        _EVENTS,
        "detectron2.checkpoint: Checkpointer",
        "detectron2.evaluation.testing: flatten_results_dict",
        "detectron2.solver: LRMultiplier",
        "detectron2.utils.events: EventStorage EventWriter",
    ),
    "detectron2.engine.train_loop": ("detectron2.utils.events: EventStorage get_event_storage",),
    "detectron2.evaluation.coco_evaluation": (
        _CATALOGS,
        _EVALUATOR,
        _FILES,
        "detectron2.config: CfgNode",
        "detectron2.data.datasets.coco: convert_to_coco_json",
        "detectron2.structures: Boxes BoxMode pairwise_iou",
        "detectron2.utils.logger: create_small_table",
    ),
    "detectron2.evaluation.lvis_evaluation": (_CATALOGS, _EVALUATOR, _FILES),
    "detectron2.evaluation.panoptic_evaluation": (_CATALOGS, _EVALUATOR, _FILES),
    "detectron2.evaluation.sem_seg_evaluation": (_CATALOGS, _EVALUATOR, _FILES),
}


def with_reexported(modules: Mapping[str, Table]) -> dict[str, Table]:
    """Return the tables of modules, each with the names of other ones that it has, too."""
    found = {module: dict(table) for module, table in modules.items()}
    for module, parts in _ALSO.items():
        for part in parts:
            source, _, names = part.partition(": ")
            for name in names.split():
                found[module].setdefault(name, modules[source][name])
    return found
