"""Names that programs import from detectron2, fvcore and iopath, by who imports them.

Each is either answered, or refused with what to use in its place; `REFUSED` are the latter.
"""

REFERENCE = {
    "detectron2": "__version__",
    "detectron2.checkpoint": "DetectionCheckpointer Checkpointer PeriodicCheckpointer",
    "detectron2.checkpoint.c2_model_loading": "align_and_update_state_dicts",
    "detectron2.checkpoint.catalog": "ModelCatalog",
    "detectron2.checkpoint.detection_checkpoint": "DetectionCheckpointer",
    "detectron2.config": (
        "CfgNode get_cfg global_cfg set_global_cfg downgrade_config upgrade_config configurable "
        "instantiate LazyCall LazyConfig"
    ),
    "detectron2.config.config": "CfgNode configurable get_cfg",
    "detectron2.config.defaults": "_C",
    "detectron2.config.instantiate": "instantiate dump_dataclass",
    "detectron2.config.lazy": "LazyCall LazyConfig",
    "detectron2.data": (
        "DatasetCatalog MetadataCatalog Metadata build_batch_data_loader build_detection_test_loader "
        "build_detection_train_loader get_detection_dataset_dicts load_proposals_into_dataset "
        "print_instances_class_histogram DatasetFromList MapDataset ToIterableDataset DatasetMapper"
    ),
    "detectron2.data.build": (
        "build_batch_data_loader build_detection_train_loader build_detection_test_loader "
        "get_detection_dataset_dicts filter_images_with_only_crowd_annotations "
        "filter_images_with_few_keypoints trivial_batch_collator worker_init_reset_seed "
        "print_instances_class_histogram load_proposals_into_dataset"
    ),
    "detectron2.data.catalog": "DatasetCatalog MetadataCatalog Metadata",
    "detectron2.data.common": "MapDataset DatasetFromList AspectRatioGroupedDataset ToIterableDataset",
    "detectron2.data.dataset_mapper": "DatasetMapper",
    "detectron2.data.datasets": (
        "load_coco_json load_sem_seg convert_to_coco_json register_coco_instances load_coco_panoptic_json "
        "register_coco_panoptic register_coco_panoptic_separated load_lvis_json register_lvis_instances "
        "get_lvis_instances_meta load_voc_instances register_pascal_voc"
    ),
    "detectron2.data.datasets.builtin": (
        "register_all_coco register_all_lvis _get_builtin_metadata _PREDEFINED_SPLITS_COCO "
        "_PREDEFINED_SPLITS_COCO_PANOPTIC _PREDEFINED_SPLITS_LVIS"
    ),
    "detectron2.data.datasets.builtin_meta": (
        "COCO_CATEGORIES CITYSCAPES_CATEGORIES _get_builtin_metadata COCO_PERSON_KEYPOINT_NAMES "
        "COCO_PERSON_KEYPOINT_FLIP_MAP KEYPOINT_CONNECTION_RULES ADE20K_SEM_SEG_CATEGORIES"
    ),
    "detectron2.data.datasets.cityscapes": "load_cityscapes_instances load_cityscapes_semantic",
    "detectron2.data.datasets.cityscapes_panoptic": (
        "load_cityscapes_panoptic register_all_cityscapes_panoptic"
    ),
    "detectron2.data.datasets.coco": (
        "load_coco_json load_sem_seg convert_to_coco_json convert_to_coco_dict register_coco_instances"
    ),
    "detectron2.data.datasets.coco_panoptic": "register_coco_panoptic register_coco_panoptic_separated",
    "detectron2.data.datasets.lvis": "get_lvis_instances_meta load_lvis_json register_lvis_instances",
    "detectron2.data.datasets.lvis_v1_categories": "LVIS_CATEGORIES",
    "detectron2.data.datasets.lvis_v0_5_categories": "LVIS_CATEGORIES",
    "detectron2.data.datasets.lvis_v1_category_image_count": "LVIS_CATEGORY_IMAGE_COUNT",
    "detectron2.data.datasets.pascal_voc": "load_voc_instances register_pascal_voc CLASS_NAMES",
    "detectron2.data.datasets.register_coco": "register_coco_instances register_coco_panoptic_separated",
    "detectron2.data.detection_utils": (
        "SizeMismatchError convert_image_to_rgb check_image_size transform_proposals "
        "transform_instance_annotations annotations_to_instances annotations_to_instances_rotated "
        "build_augmentation build_transform_gen create_keypoint_hflip_indices filter_empty_instances "
        "read_image convert_PIL_to_numpy check_metadata_consistency gen_crop_transform_with_instance "
        "transform_keypoint_annotations get_fed_loss_cls_weights _apply_exif_orientation"
    ),
    "detectron2.data.samplers": (
        "TrainingSampler InferenceSampler RepeatFactorTrainingSampler RandomSubsetTrainingSampler "
        "GroupedBatchSampler"
    ),
    "detectron2.data.samplers.distributed_sampler": "TrainingSampler RepeatFactorTrainingSampler",
    "detectron2.data.transforms": (
        "AugInput Augmentation AugmentationList StandardAugInput TransformGen apply_augmentations "
        "apply_transform_gens FixedSizeCrop RandomApply RandomBrightness RandomContrast RandomCrop "
        "RandomExtent RandomFlip RandomSaturation RandomLighting RandomRotation Resize ResizeScale "
        "ResizeShortestEdge RandomCrop_CategoryAreaConstraint RandomResize MinIoURandomCrop "
        "ExtentTransform ResizeTransform RotationTransform ColorTransform PILColorTransform Transform "
        "TransformList BlendTransform CropTransform PadTransform HFlipTransform VFlipTransform "
        "NoOpTransform ScaleTransform GridSampleTransform HFlip_rotated_box Resize_rotated_box"
    ),
    "detectron2.data.transforms.augmentation": (
        "Augmentation AugmentationList AugInput apply_augmentations _transform_to_aug _get_aug_input_args"
    ),
    "detectron2.data.transforms.augmentation_impl": ("RandomFlip ResizeShortestEdge RandomCrop Augmentation"),
    "detectron2.data.transforms.transform": (
        "ExtentTransform ResizeTransform RotationTransform ColorTransform PILColorTransform Transform "
        "TransformList"
    ),
    "detectron2.engine": (
        "launch HookBase TrainerBase SimpleTrainer AMPTrainer DefaultPredictor DefaultTrainer "
        "create_ddp_model default_argument_parser default_setup default_writers hooks AutogradProfiler "
        "BestCheckpointer CallbackHook EvalHook IterationTimer LRScheduler PeriodicCheckpointer "
        "PeriodicWriter PreciseBN TorchMemoryStats TorchProfiler"
    ),
    "detectron2.engine.defaults": (
        "DefaultPredictor DefaultTrainer default_argument_parser default_setup create_ddp_model "
        "default_writers _try_get_key hooks"
    ),
    "detectron2.engine.hooks": "EvalHook LRScheduler PeriodicCheckpointer PeriodicWriter HookBase",
    "detectron2.engine.launch": "launch DEFAULT_TIMEOUT",
    "detectron2.engine.train_loop": "HookBase TrainerBase SimpleTrainer AMPTrainer",
    "detectron2.evaluation": (
        "CityscapesInstanceEvaluator CityscapesSemSegEvaluator COCOEvaluator RotatedCOCOEvaluator "
        "DatasetEvaluator DatasetEvaluators inference_context inference_on_dataset LVISEvaluator "
        "COCOPanopticEvaluator PascalVOCDetectionEvaluator SemSegEvaluator print_csv_format "
        "verify_results"
    ),
    "detectron2.evaluation.coco_evaluation": (
        "COCOEvaluator instances_to_coco_json _evaluate_predictions_on_coco"
    ),
    "detectron2.evaluation.evaluator": (
        "DatasetEvaluator DatasetEvaluators inference_context inference_on_dataset"
    ),
    "detectron2.evaluation.fast_eval_api": "COCOeval_opt",
    "detectron2.evaluation.lvis_evaluation": "LVISEvaluator",
    "detectron2.evaluation.panoptic_evaluation": "COCOPanopticEvaluator",
    "detectron2.evaluation.sem_seg_evaluation": "SemSegEvaluator load_image_into_numpy_array",
    "detectron2.evaluation.testing": "print_csv_format verify_results flatten_results_dict",
    "detectron2.export": (
        "TracingAdapter scripting_with_instances dump_torchscript_IR Caffe2Model Caffe2Tracer"
    ),
    "detectron2.layers": (
        "FrozenBatchNorm2d get_norm NaiveSyncBatchNorm CycleBatchNormList DeformConv ModulatedDeformConv "
        "paste_masks_in_image batched_nms batched_nms_rotated nms nms_rotated ROIAlign roi_align "
        "ROIAlignRotated roi_align_rotated ShapeSpec BatchNorm2d Conv2d ConvTranspose2d cat interpolate "
        "Linear nonzero_tuple cross_entropy empty_input_loss_func_wrapper shapes_to_tensor "
        "move_device_like CNNBlockBase DepthwiseSeparableConv2d ASPP ciou_loss diou_loss "
        "pairwise_iou_rotated"
    ),
    "detectron2.layers.batch_norm": "get_norm LayerNorm FrozenBatchNorm2d NaiveSyncBatchNorm",
    "detectron2.layers.wrappers": "Conv2d cat interpolate move_device_like",
    "detectron2.model_zoo": "get get_checkpoint_url get_config get_config_file",
    "detectron2.modeling": (
        "build_anchor_generator ANCHOR_GENERATOR_REGISTRY BACKBONE_REGISTRY Backbone FPN ResNet "
        "ResNetBlockBase build_backbone build_resnet_backbone make_stage MViT SwinTransformer ViT "
        "SimpleFeaturePyramid META_ARCH_REGISTRY SEM_SEG_HEADS_REGISTRY GeneralizedRCNN PanopticFPN "
        "ProposalNetwork RetinaNet SemanticSegmentor build_model build_sem_seg_head FCOS "
        "detector_postprocess PROPOSAL_GENERATOR_REGISTRY build_proposal_generator RPN_HEAD_REGISTRY "
        "build_rpn_head ROI_BOX_HEAD_REGISTRY ROI_HEADS_REGISTRY ROI_KEYPOINT_HEAD_REGISTRY "
        "ROI_MASK_HEAD_REGISTRY ROIHeads StandardROIHeads BaseMaskRCNNHead BaseKeypointRCNNHead "
        "FastRCNNOutputLayers build_box_head build_keypoint_head build_mask_head build_roi_heads "
        "DatasetMapperTTA GeneralizedRCNNWithTTA MMDetBackbone MMDetDetector"
    ),
    "detectron2.modeling.anchor_generator": (
        "DefaultAnchorGenerator RotatedAnchorGenerator build_anchor_generator ANCHOR_GENERATOR_REGISTRY"
    ),
    "detectron2.modeling.backbone": (
        "build_backbone BACKBONE_REGISTRY Backbone FPN RegNet AnyNet ResNet BasicStem BottleneckBlock"
    ),
    "detectron2.modeling.backbone.backbone": "Backbone",
    "detectron2.modeling.backbone.build": "BACKBONE_REGISTRY build_backbone",
    "detectron2.modeling.backbone.fpn": (
        "FPN LastLevelMaxPool LastLevelP6P7 build_resnet_fpn_backbone _assert_strides_are_log2_contiguous"
    ),
    "detectron2.modeling.backbone.regnet": "AnyNet RegNet SimpleStem ResBottleneckBlock",
    "detectron2.modeling.backbone.resnet": (
        "BasicStem BasicBlock BottleneckBlock DeformBottleneckBlock ResNet build_resnet_backbone "
        "make_stage ResNetBlockBase"
    ),
    "detectron2.modeling.backbone.utils": (
        "PatchEmbed window_partition window_unpartition get_abs_pos add_decomposed_rel_pos"
    ),
    "detectron2.modeling.backbone.vit": "ViT SimpleFeaturePyramid get_vit_lr_decay_rate",
    "detectron2.modeling.box_regression": (
        "Box2BoxTransform Box2BoxTransformRotated Box2BoxTransformLinear _dense_box_regression_loss"
    ),
    "detectron2.modeling.matcher": "Matcher",
    "detectron2.modeling.meta_arch": (
        "META_ARCH_REGISTRY build_model GeneralizedRCNN PanopticFPN RetinaNet FCOS"
    ),
    "detectron2.modeling.meta_arch.build": "META_ARCH_REGISTRY build_model",
    "detectron2.modeling.meta_arch.dense_detector": "DenseDetector permute_to_N_HWA_K",
    "detectron2.modeling.meta_arch.panoptic_fpn": "PanopticFPN combine_semantic_and_instance_outputs",
    "detectron2.modeling.meta_arch.rcnn": "GeneralizedRCNN ProposalNetwork",
    "detectron2.modeling.meta_arch.retinanet": "RetinaNet RetinaNetHead permute_to_N_HWA_K",
    "detectron2.modeling.meta_arch.semantic_seg": (
        "SemanticSegmentor SEM_SEG_HEADS_REGISTRY SemSegFPNHead build_sem_seg_head"
    ),
    "detectron2.modeling.mmdet_wrapper": "MMDetBackbone MMDetDetector",
    "detectron2.modeling.poolers": "ROIPooler assign_boxes_to_levels convert_boxes_to_pooler_format",
    "detectron2.modeling.postprocessing": "detector_postprocess sem_seg_postprocess",
    "detectron2.modeling.proposal_generator": (
        "PROPOSAL_GENERATOR_REGISTRY build_proposal_generator RPN RPN_HEAD_REGISTRY build_rpn_head"
    ),
    "detectron2.modeling.proposal_generator.build": "PROPOSAL_GENERATOR_REGISTRY",
    "detectron2.modeling.proposal_generator.proposal_utils": (
        "add_ground_truth_to_proposals find_top_rpn_proposals"
    ),
    "detectron2.modeling.proposal_generator.rpn": "RPN StandardRPNHead RPN_HEAD_REGISTRY build_rpn_head",
    "detectron2.modeling.proposal_generator.rrpn": "RRPN find_top_rrpn_proposals",
    "detectron2.modeling.roi_heads": (
        "ROI_BOX_HEAD_REGISTRY build_box_head FastRCNNConvFCHead ROI_KEYPOINT_HEAD_REGISTRY "
        "build_keypoint_head BaseKeypointRCNNHead KRCNNConvDeconvUpsampleHead ROI_MASK_HEAD_REGISTRY "
        "build_mask_head BaseMaskRCNNHead MaskRCNNConvUpsampleHead ROI_HEADS_REGISTRY ROIHeads "
        "Res5ROIHeads StandardROIHeads build_roi_heads select_foreground_proposals CascadeROIHeads "
        "RROIHeads FastRCNNOutputLayers"
    ),
    "detectron2.modeling.roi_heads.box_head": "FastRCNNConvFCHead build_box_head ROI_BOX_HEAD_REGISTRY",
    "detectron2.modeling.roi_heads.cascade_rcnn": "CascadeROIHeads _ScaleGradient",
    "detectron2.modeling.roi_heads.fast_rcnn": (
        "FastRCNNOutputLayers fast_rcnn_inference fast_rcnn_inference_single_image "
        "_log_classification_stats FastRCNNOutputs"
    ),
    "detectron2.modeling.roi_heads.keypoint_head": (
        "BaseKeypointRCNNHead KRCNNConvDeconvUpsampleHead build_keypoint_head keypoint_rcnn_loss "
        "keypoint_rcnn_inference"
    ),
    "detectron2.modeling.roi_heads.mask_head": (
        "BaseMaskRCNNHead MaskRCNNConvUpsampleHead build_mask_head mask_rcnn_inference mask_rcnn_loss "
        "ROI_MASK_HEAD_REGISTRY"
    ),
    "detectron2.modeling.roi_heads.roi_heads": (
        "ROIHeads StandardROIHeads Res5ROIHeads ROI_HEADS_REGISTRY build_roi_heads "
        "select_foreground_proposals select_proposals_with_visible_keypoints"
    ),
    "detectron2.modeling.roi_heads.rotated_fast_rcnn": "RROIHeads RotatedFastRCNNOutputLayers",
    "detectron2.modeling.sampling": "subsample_labels",
    "detectron2.modeling.test_time_augmentation": "DatasetMapperTTA GeneralizedRCNNWithTTA",
    "detectron2.projects.deeplab": (
        "add_deeplab_config DeepLabV3Head DeepLabV3PlusHead WarmupPolyLR build_lr_scheduler "
        "build_resnet_deeplab_backbone"
    ),
    "detectron2.projects.deeplab.loss": "DeepLabCE",
    "detectron2.projects.deeplab.resnet": "DeepLabStem build_resnet_deeplab_backbone",
    "detectron2.projects.panoptic_deeplab": "add_panoptic_deeplab_config PanopticDeeplabDatasetMapper",
    "detectron2.projects.point_rend": (
        "add_pointrend_config ColorAugSSDTransform PointRendMaskHead ImplicitPointRendMaskHead "
        "PointRendSemSegHead"
    ),
    "detectron2.projects.point_rend.point_features": (
        "point_sample get_uncertain_point_coords_with_randomness get_uncertain_point_coords_on_grid "
        "generate_regular_grid_point_coords point_sample_fine_grained_features get_point_coords_wrt_image "
        "sample_point_labels"
    ),
    "detectron2.projects.point_rend.roi_heads": "PointRendROIHeads",
    "detectron2.solver": (
        "build_lr_scheduler build_optimizer get_default_optimizer_params LRMultiplier WarmupCosineLR "
        "WarmupMultiStepLR WarmupParamScheduler"
    ),
    "detectron2.solver.build": (
        "maybe_add_gradient_clipping get_default_optimizer_params build_optimizer build_lr_scheduler "
        "reduce_param_groups"
    ),
    "detectron2.solver.lr_scheduler": (
        "WarmupMultiStepLR WarmupCosineLR LRMultiplier _get_warmup_factor_at_iter"
    ),
    "detectron2.structures": (
        "Boxes BoxMode pairwise_iou pairwise_ioa pairwise_point_box_distance ImageList Instances "
        "Keypoints heatmaps_to_keypoints BitMasks PolygonMasks polygons_to_bitmask ROIMasks RotatedBoxes "
        "pairwise_iou_rotated"
    ),
    "detectron2.structures.boxes": ("Boxes BoxMode pairwise_iou matched_pairwise_iou pairwise_intersection"),
    "detectron2.structures.image_list": "ImageList",
    "detectron2.structures.instances": "Instances",
    "detectron2.structures.keypoints": "Keypoints",
    "detectron2.structures.masks": (
        "BitMasks PolygonMasks polygons_to_bitmask polygon_area rasterize_polygons_within_box"
    ),
    "detectron2.structures.rotated_boxes": "RotatedBoxes pairwise_iou",
    "detectron2.tracking": (
        "BaseTracker build_tracker_head TRACKER_HEADS_REGISTRY BBoxIOUTracker BaseHungarianTracker "
        "IOUWeightedHungarianBBoxIOUTracker VanillaHungarianBBoxIOUTracker"
    ),
    "detectron2.utils.analysis": (
        "FlopCountAnalysis flop_count_operators activation_count_operators parameter_count_table "
        "parameter_count find_unused_parameters"
    ),
    "detectron2.utils.collect_env": "collect_env_info",
    "detectron2.utils.colormap": "random_color random_colors colormap",
    "detectron2.utils.comm": (
        "get_world_size get_rank get_local_rank get_local_size is_main_process synchronize all_gather "
        "gather shared_random_seed reduce_dict get_local_process_group"
    ),
    "detectron2.utils.env": (
        "TORCH_VERSION seed_all_rng setup_environment fixup_module_metadata _import_file"
    ),
    "detectron2.utils.events": (
        "get_event_storage has_event_storage EventWriter JSONWriter TensorboardXWriter "
        "CommonMetricPrinter EventStorage"
    ),
    "detectron2.utils.file_io": "PathManager PathHandler",
    "detectron2.utils.logger": (
        "setup_logger log_first_n log_every_n log_every_n_seconds create_small_table _log_api_usage"
    ),
    "detectron2.utils.memory": "retry_if_cuda_oom",
    "detectron2.utils.registry": "Registry locate _convert_target_to_string",
    "detectron2.utils.serialize": "PicklableWrapper",
    "detectron2.utils.testing": "get_model_no_weights random_boxes assert_instances_allclose",
    "detectron2.utils.tracing": "assert_fx_safe is_fx_tracing",
    "detectron2.utils.video_visualizer": "VideoVisualizer",
    "detectron2.utils.visualizer": "ColorMode VisImage Visualizer GenericMask _create_text_labels",
    "fvcore.common.checkpoint": "Checkpointer PeriodicCheckpointer",
    "fvcore.common.config": "CfgNode BASE_KEY",
    "fvcore.common.file_io": "PathManager PathHandler",
    "fvcore.common.history_buffer": "HistoryBuffer",
    "fvcore.common.param_scheduler": (
        "ParamScheduler CosineParamScheduler MultiStepParamScheduler ConstantParamScheduler "
        "CompositeParamScheduler LinearParamScheduler ExponentialParamScheduler "
        "PolynomialDecayParamScheduler"
    ),
    "fvcore.common.registry": "Registry",
    "fvcore.common.timer": "Timer",
    "fvcore.nn": (
        "giou_loss sigmoid_focal_loss sigmoid_focal_loss_jit smooth_l1_loss FlopCountAnalysis "
        "parameter_count flop_count_table weight_init c2_msra_fill c2_xavier_fill"
    ),
    "fvcore.nn.focal_loss": "sigmoid_focal_loss_jit sigmoid_focal_loss_star_jit",
    "fvcore.nn.precise_bn": "get_bn_modules update_bn_stats",
    "fvcore.nn.weight_init": "c2_msra_fill c2_xavier_fill",
    "fvcore.transforms.transform": (
        "Transform TransformList CropTransform HFlipTransform NoOpTransform PadTransform BlendTransform "
        "VFlipTransform ScaleTransform GridSampleTransform"
    ),
    "iopath.common.download": "download",
    "iopath.common.file_io": (
        "PathManager PathHandler HTTPURLHandler OneDrivePathHandler g_pathmgr file_lock get_cache_dir"
    ),
}
"""The public names of the reference, and those with an underscore that programs are known to import."""

REFUSED = {
    "detectron2.data.datasets.lvis_v1_categories": "LVIS_CATEGORIES",
    "detectron2.data.datasets.lvis_v0_5_categories": "LVIS_CATEGORIES",
    "detectron2.data.datasets.lvis_v1_category_image_count": "LVIS_CATEGORY_IMAGE_COUNT",
    "detectron2.data.samplers": "GroupedBatchSampler",
    "detectron2.data.transforms": "HFlip_rotated_box Resize_rotated_box",
    "detectron2.evaluation.coco_evaluation": "_evaluate_predictions_on_coco",
    "detectron2.evaluation.fast_eval_api": "COCOeval_opt",
    "detectron2.export": "Caffe2Model Caffe2Tracer",
    "detectron2.modeling.poolers": "convert_boxes_to_pooler_format",
    "detectron2.modeling.roi_heads.fast_rcnn": "FastRCNNOutputs",
    "detectron2.utils.testing": "assert_instances_allclose",
    "fvcore.nn": "flop_count_table",
}
"""Those that are not answered, and say what to use."""

REFUSED_MODULES = (
    "detectron2._C",
    "detectron2.export.caffe2_modeling",
    "detectron2.export.torchscript_patch",
    "detectron2.utils.develop",
)
