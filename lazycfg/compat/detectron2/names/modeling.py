"""Names of ``detectron2.modeling``."""

from __future__ import annotations

from ._table import Table, at, gone, here

_REGISTRIES = "registries"
_BACKBONES: Table = {
    **at(
        "lazycfg.modeling",
        "AnyNet BasicBlock BasicStem BottleneckBlock DeformBottleneckBlock LastLevelMaxPool "
        "LastLevelP6P7 MViT RegNet SimpleFeaturePyramid SwinTransformer ViT get_vit_lr_decay_rate",
    ),
    **here("backbones", "Backbone FPN ResNet ResNetBlockBase make_stage"),
    **here(
        "backbones", "build_resnet_backbone build_resnet_fpn_backbone build_retinanet_resnet_fpn_backbone"
    ),
    **here(_REGISTRIES, "BACKBONE_REGISTRY build_backbone"),
}
_PROPOSALS: Table = {
    **here("proposals", "RPN RRPN StandardRPNHead"),
    **here(
        _REGISTRIES, "PROPOSAL_GENERATOR_REGISTRY RPN_HEAD_REGISTRY build_proposal_generator build_rpn_head"
    ),
    **at("lazycfg.modeling", "add_ground_truth_to_proposals find_top_rpn_proposals find_top_rrpn_proposals"),
}
_ANCHORS: Table = {
    **here("proposals", "DefaultAnchorGenerator RotatedAnchorGenerator"),
    **here(_REGISTRIES, "ANCHOR_GENERATOR_REGISTRY build_anchor_generator"),
}
_HEADS: Table = {
    **here("roi_heads", "CascadeROIHeads ROIHeads RROIHeads Res5ROIHeads StandardROIHeads"),
    **here(
        "box_heads",
        "BaseKeypointRCNNHead BaseMaskRCNNHead FastRCNNConvFCHead FastRCNNOutputLayers "
        "KRCNNConvDeconvUpsampleHead "
        "MaskRCNNConvUpsampleHead RotatedFastRCNNOutputLayers",
    ),
    **gone("it was deprecated: use FastRCNNOutputLayers.losses and .inference", "FastRCNNOutputs"),
    **here(
        _REGISTRIES,
        "ROI_BOX_HEAD_REGISTRY ROI_HEADS_REGISTRY ROI_KEYPOINT_HEAD_REGISTRY ROI_MASK_HEAD_REGISTRY "
        "build_box_head "
        "build_keypoint_head build_mask_head build_roi_heads",
    ),
    **at(
        "lazycfg.modeling",
        "mask_rcnn_inference mask_rcnn_loss select_foreground_proposals "
        "select_proposals_with_visible_keypoints "
        "fast_rcnn_inference_rotated",
    ),
    **here(
        "box_heads",
        "fast_rcnn_inference fast_rcnn_inference_single_image keypoint_rcnn_inference keypoint_rcnn_loss",
    ),
}
_PERMUTED = here("model_parts", "permute_to_N_HWA_K")
_META: Table = {
    **here(
        "meta_arch",
        "GeneralizedRCNN PanopticFPN ProposalNetwork RetinaNet RetinaNetHead SemSegFPNHead SemanticSegmentor",
    ),
    **at("lazycfg.modeling", "DenseDetector FCOS FCOSHead combine_semantic_and_instance_outputs"),
    **here(_REGISTRIES, "META_ARCH_REGISTRY SEM_SEG_HEADS_REGISTRY build_model build_sem_seg_head"),
}
_CODECS = at("lazycfg.modeling", "Box2BoxTransform Box2BoxTransformLinear Box2BoxTransformRotated")
_POOLERS: Table = {
    **here("model_parts", "ROIPooler"),
    **at("lazycfg.modeling", "assign_boxes_to_levels"),
    **gone("ROIPooler takes lists of Boxes", "convert_boxes_to_pooler_format"),
}
_POST = at("lazycfg.modeling", "detector_postprocess sem_seg_postprocess")
_TTA = here("test_time", "DatasetMapperTTA GeneralizedRCNNWithTTA")
_MMDET = at("lazycfg.modeling", "MMDetBackbone MMDetDetector")


def _only(table: Table, names: str) -> Table:
    return {name: table[name] for name in names.split()}


MODELING: dict[str, Table] = {
    "detectron2.modeling": {
        **_BACKBONES,
        **_PROPOSALS,
        **_ANCHORS,
        **_HEADS,
        **_META,
        **_CODECS,
        **_POST,
        **_TTA,
        **_MMDET,
        **_POOLERS,
        **at("lazycfg.modeling", "Matcher subsample_labels"),
    },
    "detectron2.modeling.anchor_generator": _ANCHORS,
    "detectron2.modeling.backbone": _BACKBONES,
    "detectron2.modeling.backbone.backbone": here("backbones", "Backbone"),
    "detectron2.modeling.backbone.build": here(_REGISTRIES, "BACKBONE_REGISTRY build_backbone"),
    "detectron2.modeling.backbone.fpn": _only(
        _BACKBONES,
        "FPN LastLevelMaxPool LastLevelP6P7 build_resnet_fpn_backbone build_retinanet_resnet_fpn_backbone",
    )
    | here("backbones", "_assert_strides_are_log2_contiguous"),
    "detectron2.modeling.backbone.mvit": at("lazycfg.modeling", "MViT")
    | at("lazycfg.modeling.backbone.mvit", "MultiScaleAttention MultiScaleBlock"),
    "detectron2.modeling.backbone.regnet": at("lazycfg.modeling", "AnyNet RegNet")
    | at(
        "lazycfg.modeling.backbone.regnet_blocks", "ResBottleneckBlock ResBasicBlock SimpleStem VanillaBlock"
    ),
    "detectron2.modeling.backbone.resnet": _only(
        _BACKBONES,
        "BasicBlock BasicStem BottleneckBlock DeformBottleneckBlock ResNet ResNetBlockBase "
        "build_resnet_backbone "
        "make_stage",
    ),
    "detectron2.modeling.backbone.swin": at("lazycfg.modeling", "SwinTransformer"),
    "detectron2.modeling.backbone.utils": {
        **at(
            "lazycfg.modeling.backbone.vit_utils",
            "PatchEmbed get_abs_pos get_rel_pos window_partition window_unpartition",
        ),
        **here("model_parts", "add_decomposed_rel_pos"),
    },
    "detectron2.modeling.backbone.vit": at(
        "lazycfg.modeling", "SimpleFeaturePyramid ViT get_vit_lr_decay_rate"
    ),
    "detectron2.modeling.box_regression": {
        **_CODECS,
        **here("model_parts", "_dense_box_regression_loss"),
    },
    "detectron2.modeling.matcher": at("lazycfg.modeling", "Matcher"),
    "detectron2.modeling.meta_arch": _META,
    "detectron2.modeling.meta_arch.build": here(_REGISTRIES, "META_ARCH_REGISTRY build_model"),
    "detectron2.modeling.meta_arch.dense_detector": at("lazycfg.modeling", "DenseDetector") | _PERMUTED,
    "detectron2.modeling.meta_arch.fcos": at("lazycfg.modeling", "FCOS FCOSHead"),
    "detectron2.modeling.meta_arch.panoptic_fpn": _only(
        _META, "PanopticFPN combine_semantic_and_instance_outputs"
    ),
    "detectron2.modeling.meta_arch.rcnn": _only(_META, "GeneralizedRCNN ProposalNetwork META_ARCH_REGISTRY"),
    "detectron2.modeling.meta_arch.retinanet": _only(_META, "RetinaNet RetinaNetHead META_ARCH_REGISTRY")
    | _PERMUTED,
    "detectron2.modeling.meta_arch.semantic_seg": _only(
        _META,
        "META_ARCH_REGISTRY SEM_SEG_HEADS_REGISTRY SemSegFPNHead SemanticSegmentor build_sem_seg_head",
    ),
    "detectron2.modeling.mmdet_wrapper": _MMDET,
    "detectron2.modeling.poolers": _POOLERS,
    "detectron2.modeling.postprocessing": _POST,
    "detectron2.modeling.proposal_generator": _PROPOSALS,
    "detectron2.modeling.proposal_generator.build": here(
        _REGISTRIES, "PROPOSAL_GENERATOR_REGISTRY build_proposal_generator"
    ),
    "detectron2.modeling.proposal_generator.proposal_utils": at(
        "lazycfg.modeling", "add_ground_truth_to_proposals find_top_rpn_proposals"
    ),
    "detectron2.modeling.proposal_generator.rpn": _only(
        _PROPOSALS, "RPN RPN_HEAD_REGISTRY StandardRPNHead build_rpn_head PROPOSAL_GENERATOR_REGISTRY"
    ),
    "detectron2.modeling.proposal_generator.rrpn": _only(_PROPOSALS, "RRPN find_top_rrpn_proposals"),
    "detectron2.modeling.roi_heads": _HEADS,
    "detectron2.modeling.roi_heads.box_head": _only(
        _HEADS, "FastRCNNConvFCHead ROI_BOX_HEAD_REGISTRY build_box_head"
    ),
    "detectron2.modeling.roi_heads.cascade_rcnn": _only(_HEADS, "CascadeROIHeads")
    | {"_ScaleGradient": "lazycfg.modeling.roi_heads.cascade:ScaleGradient"},
    "detectron2.modeling.roi_heads.fast_rcnn": _only(
        _HEADS, "FastRCNNOutputLayers FastRCNNOutputs fast_rcnn_inference fast_rcnn_inference_single_image"
    )
    | here("box_heads", "_log_classification_stats"),
    "detectron2.modeling.roi_heads.keypoint_head": _only(
        _HEADS,
        "BaseKeypointRCNNHead KRCNNConvDeconvUpsampleHead ROI_KEYPOINT_HEAD_REGISTRY build_keypoint_head "
        "keypoint_rcnn_inference keypoint_rcnn_loss",
    ),
    "detectron2.modeling.roi_heads.mask_head": _only(
        _HEADS,
        "BaseMaskRCNNHead MaskRCNNConvUpsampleHead ROI_MASK_HEAD_REGISTRY build_mask_head "
        "mask_rcnn_inference "
        "mask_rcnn_loss",
    ),
    "detectron2.modeling.roi_heads.roi_heads": _only(
        _HEADS,
        "ROIHeads ROI_HEADS_REGISTRY Res5ROIHeads StandardROIHeads build_roi_heads "
        "select_foreground_proposals "
        "select_proposals_with_visible_keypoints",
    ),
    "detectron2.modeling.roi_heads.rotated_fast_rcnn": _only(
        _HEADS, "RROIHeads RotatedFastRCNNOutputLayers fast_rcnn_inference_rotated"
    ),
    "detectron2.modeling.sampling": at("lazycfg.modeling", "subsample_labels"),
    "detectron2.modeling.test_time_augmentation": _TTA,
}
