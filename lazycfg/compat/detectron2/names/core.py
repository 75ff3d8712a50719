"""Names of ``detectron2.config``, ``structures``, ``layers``, ``checkpoint``, ``model_zoo`` and
``solver``.
"""

from __future__ import annotations

from ._table import HERE, Table, at, gone, here

_CONFIG: Table = {
    **here("config", "CfgNode get_cfg global_cfg set_global_cfg configurable"),
    **here("config", "downgrade_config upgrade_config"),
    **here("lazy", "LazyCall LazyConfig instantiate"),
}
_BOXES = at(
    "lazycfg.structures",
    "Boxes BoxMode matched_pairwise_iou pairwise_ioa pairwise_iou pairwise_intersection "
    "pairwise_point_box_distance",
)
_MASKS = at(
    "lazycfg.structures",
    "BitMasks PolygonMasks ROIMasks polygons_to_bitmask rasterize_polygons_within_box",
)
_KEYPOINTS = at("lazycfg.structures", "Keypoints heatmaps_to_keypoints")
_ROTATED = {
    **at("lazycfg.structures", "RotatedBoxes"),
    "pairwise_iou": "lazycfg.structures:pairwise_iou_rotated",
}
_WRAPPERS = at(
    "lazycfg.layers",
    "BatchNorm2d Conv2d ConvTranspose2d Linear cat cross_entropy empty_input_loss_func_wrapper interpolate "
    "move_device_like nonzero_tuple shapes_to_tensor",
)
_NORM = {
    **at("lazycfg.layers", "CycleBatchNormList FrozenBatchNorm2d LayerNorm NaiveSyncBatchNorm get_norm"),
    "BatchNorm2d": "lazycfg.layers:BatchNorm2d",
}
_NMS = at("lazycfg.layers", "batched_nms batched_nms_rotated nms nms_rotated")
_MASK_OPS = at("lazycfg.layers", "paste_masks_in_image pad_masks scale_boxes")
_DEFORM = at("lazycfg.layers", "DeformConv ModulatedDeformConv")
_DEFORM_FUNCTIONS = gone(
    "use the layers DeformConv and ModulatedDeformConv", "deform_conv modulated_deform_conv"
)
_OPTIMIZERS: Table = {
    **here("solver", "build_optimizer get_default_optimizer_params maybe_add_gradient_clipping"),
    **here("solver", "reduce_param_groups GradientClipType"),
}
_SCHEDULES: Table = {
    **here("solver", "LRMultiplier WarmupCosineLR WarmupMultiStepLR"),
    **at("lazycfg.solver", "WarmupParamScheduler"),
}

CORE: dict[str, Table] = {
    "detectron2": {"__version__": f"{HERE}.version:VERSION"},
    "detectron2.config": _CONFIG,
    "detectron2.config.config": _CONFIG,
    "detectron2.config.defaults": here("config", "_C"),
    "detectron2.config.compat": here("config", "downgrade_config upgrade_config"),
    "detectron2.config.lazy": here("lazy", "LazyCall LazyConfig"),
    "detectron2.config.instantiate": here("lazy", "instantiate dump_dataclass"),
    "detectron2.structures": {
        **_BOXES,
        **_MASKS,
        **_KEYPOINTS,
        **at("lazycfg.structures", "ImageList Instances RotatedBoxes"),
        "pairwise_iou_rotated": "lazycfg.structures:pairwise_iou_rotated",
    },
    "detectron2.structures.boxes": _BOXES,
    "detectron2.structures.image_list": at("lazycfg.structures", "ImageList"),
    "detectron2.structures.instances": at("lazycfg.structures", "Instances"),
    "detectron2.structures.keypoints": _KEYPOINTS,
    "detectron2.structures.masks": {**_MASKS, "polygon_area": f"{HERE}.small:polygon_area"},
    "detectron2.structures.rotated_boxes": _ROTATED,
    "detectron2.layers": {
        **_WRAPPERS,
        **_NORM,
        **_NMS,
        **_MASK_OPS,
        **_DEFORM,
        **_DEFORM_FUNCTIONS,
        **at(
            "lazycfg.layers",
            "ASPP CNNBlockBase DepthwiseSeparableConv2d ROIAlign ROIAlignRotated ShapeSpec ciou_loss "
            "diou_loss "
            "pairwise_iou_rotated",
        ),
        **at("torchvision.ops", "roi_align"),
        "roi_align_rotated": "lazycfg.layers:roi_align_rotated",
    },
    "detectron2.layers.aspp": at("lazycfg.layers", "ASPP"),
    "detectron2.layers.batch_norm": _NORM,
    "detectron2.layers.blocks": at("lazycfg.layers", "CNNBlockBase DepthwiseSeparableConv2d"),
    "detectron2.layers.deform_conv": {**_DEFORM, **_DEFORM_FUNCTIONS},
    "detectron2.layers.losses": at("lazycfg.layers", "ciou_loss diou_loss"),
    "detectron2.layers.mask_ops": {
        **_MASK_OPS,
        **gone("it was deprecated: use paste_masks_in_image", "_do_paste_mask paste_mask_in_image_old"),
    },
    "detectron2.layers.nms": _NMS,
    "detectron2.layers.roi_align": {**at("lazycfg.layers", "ROIAlign"), **at("torchvision.ops", "roi_align")},
    "detectron2.layers.roi_align_rotated": at("lazycfg.layers", "ROIAlignRotated roi_align_rotated"),
    "detectron2.layers.rotated_boxes": at("lazycfg.layers", "pairwise_iou_rotated"),
    "detectron2.layers.shape_spec": at("lazycfg.layers", "ShapeSpec"),
    "detectron2.layers.wrappers": _WRAPPERS,
    "detectron2.checkpoint": here("checkpoint", "Checkpointer DetectionCheckpointer PeriodicCheckpointer"),
    "detectron2.checkpoint.detection_checkpoint": here("checkpoint", "DetectionCheckpointer"),
    "detectron2.checkpoint.catalog": here("checkpoint", "ModelCatalog"),
    "detectron2.checkpoint.c2_model_loading": {
        **here("checkpoint", "align_and_update_state_dicts"),
        **gone(
            "lazycfg.checkpoint.load_weights knows Caffe2's names",
            "convert_basic_c2_names convert_c2_detectron_names",
        ),
    },
    "detectron2.model_zoo": here("zoo", "get get_checkpoint_url get_config get_config_file"),
    "detectron2.model_zoo.model_zoo": here("zoo", "get get_checkpoint_url get_config get_config_file"),
    "detectron2.solver": {**_OPTIMIZERS, **_SCHEDULES, **here("solver", "build_lr_scheduler")},
    "detectron2.solver.build": {**_OPTIMIZERS, **here("solver", "build_lr_scheduler")},
    "detectron2.solver.lr_scheduler": {**_SCHEDULES, **here("solver", "_get_warmup_factor_at_iter")},
}
