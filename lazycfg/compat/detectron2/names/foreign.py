"""Names of fvcore and iopath, which programs import beside detectron2; answered where these are not
installed.
"""

from __future__ import annotations

from ._table import HERE, Table, at, gone, here

_PATHS = here(
    "files",
    "HTTPURLHandler LazyPath NativePathHandler OneDrivePathHandler PathHandler PathManager file_lock "
    "get_cache_dir "
    "g_pathmgr",
)
_IOPATHS: Table = {**_PATHS, "PathManager": f"{HERE}.files:PathManagerBase"}  # there it is the class
_LOSSES: Table = {
    **here("foreign", "sigmoid_focal_loss_jit sigmoid_focal_loss_star sigmoid_focal_loss_star_jit"),
    **at("lazycfg.layers", "giou_loss sigmoid_focal_loss smooth_l1_loss"),
}
_TRANSFORMS: Table = {
    **here(
        "transforms",
        "BlendTransform CropTransform GridSampleTransform HFlipTransform NoOpTransform PadTransform",
    ),
    **here("transforms", "ScaleTransform Transform TransformList VFlipTransform"),
    **gone("use CropTransform or GridSampleTransform", "GridTransform"),
}
_SCHEDULERS = at(
    "lazycfg.solver",
    "CompositeParamScheduler ConstantParamScheduler CosineParamScheduler ExponentialParamScheduler "
    "LinearParamScheduler MultiStepParamScheduler ParamScheduler PolynomialDecayParamScheduler",
)
_BN = here("foreign", "get_bn_modules update_bn_stats")
_COUNTS: Table = {
    **here("small", "FlopCountAnalysis parameter_count parameter_count_table"),
    **gone(
        "use FlopCountAnalysis, `lazycfg analyze`, or torch.utils.flop_counter",
        "ActivationCountAnalysis flop_count flop_count_str flop_count_table",
    ),
}

FVCORE: dict[str, Table] = {
    "fvcore": {"__version__": f"{HERE}.version:FVCORE_VERSION"},
    "fvcore.common": {},
    "fvcore.common.benchmark": here("foreign", "benchmark timeit"),
    "fvcore.common.checkpoint": here("checkpoint", "Checkpointer PeriodicCheckpointer")
    | {"_IncompatibleKeys": f"{HERE}.checkpoint:IncompatibleKeys"},
    "fvcore.common.config": here("config", "BASE_KEY") | {"CfgNode": f"{HERE}.config:PlainCfgNode"},
    "fvcore.common.download": here("files", "download"),
    "fvcore.common.file_io": _PATHS,
    "fvcore.common.history_buffer": at("lazycfg.utils", "HistoryBuffer"),
    "fvcore.common.param_scheduler": _SCHEDULERS,
    "fvcore.common.registry": here("registry", "Registry"),
    "fvcore.common.timer": here("foreign", "Timer"),
    "fvcore.nn": {
        **_LOSSES,
        **_BN,
        **_COUNTS,
        **here("foreign", "c2_msra_fill c2_xavier_fill smooth_l1_loss"),
        "weight_init": f"{HERE}.foreign",
        "precise_bn": f"{HERE}.foreign",
    },
    "fvcore.nn.distributed": here("comm", "differentiable_all_gather differentiable_all_reduce"),
    "fvcore.nn.flop_count": _COUNTS,
    "fvcore.nn.focal_loss": _LOSSES,
    "fvcore.nn.giou_loss": at("lazycfg.layers", "giou_loss"),
    "fvcore.nn.parameter_count": here("small", "parameter_count parameter_count_table"),
    "fvcore.nn.precise_bn": _BN,
    "fvcore.nn.smooth_l1_loss": here("foreign", "smooth_l1_loss"),
    "fvcore.nn.weight_init": here("foreign", "c2_msra_fill c2_xavier_fill"),
    "fvcore.transforms": _TRANSFORMS,
    "fvcore.transforms.transform": _TRANSFORMS,
    "fvcore.transforms.transform_util": here("foreign", "to_float_tensor to_numpy"),
}
IOPATH: dict[str, Table] = {
    "iopath": _IOPATHS,
    "iopath.common": {},
    "iopath.common.download": here("files", "download"),
    "iopath.common.file_io": _IOPATHS,
}
