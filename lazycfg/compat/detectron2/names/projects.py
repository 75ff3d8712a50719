"""Names of ``detectron2.projects``: the projects that the reference installs with itself, and DensePose."""

from __future__ import annotations

from ._table import Table, at, here

_POINTS: Table = {
    **at(
        "lazycfg.modeling",
        "generate_regular_grid_point_coords get_point_coords_wrt_image get_uncertain_point_coords_on_grid "
        "get_uncertain_point_coords_with_randomness point_sample point_sample_fine_grained_features "
        "sample_point_labels",
    ),
}
_POINT_REND: Table = {
    **_POINTS,
    **here("projects", "add_pointrend_config"),
    **at(
        "lazycfg.projects.point_rend",
        "ColorAugSSDTransform ConvFCHead ImplicitPointRendMaskHead PointRendMaskHead PointRendSemSegHead "
        "StandardPointHead ImplicitPointHead roi_mask_point_loss",
    ),
}
_DEEPLAB: Table = {
    **here("projects", "add_deeplab_config build_resnet_deeplab_backbone"),
    **at("lazycfg.modeling", "DeepLabV3Head DeepLabV3PlusHead DeepLabStem"),
    **at("lazycfg.layers", "DeepLabCE ASPP"),
    **here("solver", "WarmupPolyLR"),
    **here("projects", "build_lr_scheduler"),
}
_PANOPTIC: Table = {
    **here("projects", "add_panoptic_deeplab_config"),
    **at(
        "lazycfg.projects.panoptic_deeplab",
        "PanopticDeepLab PanopticDeepLabInsEmbedHead PanopticDeepLabSemSegHead "
        "PanopticDeepLabTargetGenerator "
        "PanopticDeeplabDatasetMapper get_panoptic_segmentation",
    ),
}

PROJECTS: dict[str, Table] = {
    "detectron2.projects": {},
    "detectron2.projects.deeplab": _DEEPLAB,
    "detectron2.projects.deeplab.config": here("projects", "add_deeplab_config"),
    "detectron2.projects.deeplab.loss": at("lazycfg.layers", "DeepLabCE"),
    "detectron2.projects.deeplab.lr_scheduler": here("solver", "WarmupPolyLR"),
    "detectron2.projects.deeplab.build_solver": here("projects", "build_lr_scheduler"),
    "detectron2.projects.deeplab.resnet": at("lazycfg.modeling", "DeepLabStem")
    | here("projects", "build_resnet_deeplab_backbone"),
    "detectron2.projects.deeplab.semantic_seg": at("lazycfg.modeling", "DeepLabV3Head DeepLabV3PlusHead"),
    "detectron2.projects.panoptic_deeplab": _PANOPTIC,
    "detectron2.projects.panoptic_deeplab.config": here("projects", "add_panoptic_deeplab_config"),
    "detectron2.projects.panoptic_deeplab.post_processing": at(
        "lazycfg.projects.panoptic_deeplab",
        "find_instance_center get_instance_segmentation get_panoptic_segmentation group_pixels "
        "merge_semantic_and_instance",
    ),
    "detectron2.projects.point_rend": _POINT_REND,
    "detectron2.projects.point_rend.color_augmentation": at(
        "lazycfg.projects.point_rend", "ColorAugSSDTransform"
    ),
    "detectron2.projects.point_rend.config": here("projects", "add_pointrend_config"),
    "detectron2.projects.point_rend.mask_head": at(
        "lazycfg.projects.point_rend", "ConvFCHead ImplicitPointRendMaskHead PointRendMaskHead"
    ),
    "detectron2.projects.point_rend.point_features": _POINTS,
    "detectron2.projects.point_rend.point_head": at(
        "lazycfg.projects.point_rend", "ImplicitPointHead StandardPointHead roi_mask_point_loss"
    ),
    "detectron2.projects.point_rend.roi_heads": {
        "PointRendROIHeads": "lazycfg.compat.detectron2.roi_heads:StandardROIHeads"
    },
    "detectron2.projects.point_rend.semantic_seg": at("lazycfg.projects.point_rend", "PointRendSemSegHead"),
}
