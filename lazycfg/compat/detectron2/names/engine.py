"""Names of ``detectron2.engine``, ``utils``, ``tracking``, ``export`` and ``tools``."""

from __future__ import annotations

from ._table import Table, gone, here

_HOOKS = here(
    "hooks",
    "AutogradProfiler BestCheckpointer CallbackHook EvalHook IterationTimer LRScheduler PeriodicCheckpointer "
    "PeriodicWriter PreciseBN TorchMemoryStats TorchProfiler",
)
_DEFAULTS: Table = {
    **here(
        "defaults",
        "create_ddp_model default_argument_parser default_setup default_writers _highlight _try_get_key",
    ),
    **here("predictor", "DefaultPredictor"),
    **here("default_trainer", "DefaultTrainer"),
}
_TRAINERS = here("trainers", "AMPTrainer HookBase SimpleTrainer TrainerBase")
_LAUNCH = here("defaults", "launch DEFAULT_TIMEOUT")
_EVENTS = here(
    "events",
    "CommonMetricPrinter EventStorage EventWriter JSONWriter TensorboardXWriter get_event_storage "
    "has_event_storage",
)
_CAFFE2 = (
    "Caffe2 is no longer maintained; lazycfg.export.export_detector writes a detector by torch.export or "
    "as ONNX"
)

ENGINE: dict[str, Table] = {
    "detectron2.engine": {**_DEFAULTS, **_TRAINERS, **_LAUNCH, **_HOOKS},
    "detectron2.engine.defaults": {**_DEFAULTS, **_TRAINERS, "hooks": "detectron2.engine.hooks"},
    "detectron2.engine.hooks": {**_HOOKS, **here("trainers", "HookBase")},
    "detectron2.engine.launch": _LAUNCH,
    "detectron2.engine.train_loop": _TRAINERS,
    "detectron2.export": {
        **gone(_CAFFE2, "Caffe2Model Caffe2Tracer add_export_config export_caffe2_model export_onnx_model"),
        **here("export", "TracingAdapter dump_torchscript_IR scripting_with_instances"),
        **gone("onnx has no use for it with torch.onnx.export(dynamo=True)", "STABLE_ONNX_OPSET_VERSION"),
    },
    "detectron2.export.flatten": here("export", "TracingAdapter"),
    "detectron2.tracking": here(
        "tracking",
        "BBoxIOUTracker BaseHungarianTracker BaseTracker IOUWeightedHungarianBBoxIOUTracker "
        "TRACKER_HEADS_REGISTRY "
        "VanillaHungarianBBoxIOUTracker build_tracker_head",
    ),
    "detectron2.tracking.base_tracker": here(
        "tracking", "BaseTracker TRACKER_HEADS_REGISTRY build_tracker_head"
    ),
    "detectron2.tracking.bbox_iou_tracker": here("tracking", "BBoxIOUTracker"),
    "detectron2.tracking.hungarian_tracker": here("tracking", "BaseHungarianTracker"),
    "detectron2.tracking.iou_weighted_hungarian_bbox_iou_tracker": here(
        "tracking", "IOUWeightedHungarianBBoxIOUTracker"
    ),
    "detectron2.tracking.vanilla_hungarian_bbox_iou_tracker": here(
        "tracking", "VanillaHungarianBBoxIOUTracker"
    ),
    "detectron2.tracking.utils": here("tracking", "create_prediction_pairs"),
    "detectron2.utils": {},
    "detectron2.utils.analysis": {
        **here("small", "find_unused_parameters parameter_count parameter_count_table"),
        **here("small", "FlopCountAnalysis activation_count_operators flop_count_operators"),
    },
    "detectron2.utils.collect_env": here("small", "collect_env_info collect_torch_env"),
    "detectron2.utils.colormap": here("visualizer", "colormap random_color random_colors"),
    "detectron2.utils.comm": here(
        "comm",
        "all_gather gather get_local_process_group get_local_rank get_local_size get_rank get_world_size "
        "is_main_process reduce_dict shared_random_seed synchronize create_local_process_group "
        "_LOCAL_PROCESS_GROUP",
    ),
    "detectron2.utils.env": here(
        "small",
        "TORCH_VERSION fixup_module_metadata seed_all_rng setup_custom_environment setup_environment "
        "_import_file",
    ),
    "detectron2.utils.events": _EVENTS,
    "detectron2.utils.file_io": here("files", "PathHandler PathManager PathManagerBase"),
    "detectron2.utils.logger": here(
        "logger",
        "create_small_table log_every_n log_every_n_seconds log_first_n setup_logger _log_api_usage",
    ),
    "detectron2.utils.memory": here("small", "retry_if_cuda_oom"),
    "detectron2.utils.registry": here("registry", "Registry locate _convert_target_to_string"),
    "detectron2.utils.serialize": here("small", "PicklableWrapper"),
    "detectron2.utils.testing": here("small", "get_model_no_weights random_boxes")
    | gone(
        "it served the reference's own tests",
        "assert_instances_allclose convert_scripted_instances register_custom_op_onnx_export",
    ),
    "detectron2.utils.tracing": here("small", "assert_fx_safe is_fx_tracing check_if_torch_exportable"),
    "detectron2.utils.video_visualizer": here("visualizer", "VideoVisualizer"),
    "detectron2.utils.visualizer": here(
        "visualizer",
        "ColorMode GenericMask VisImage Visualizer random_color _create_text_labels _PanopticPrediction",
    ),
}
