"""Optimizer, schedule and the settings of a run."""

from __future__ import annotations

from typing import Any

import torch

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.common import choose
from lazycfg.data import build_detection_train_loader
from lazycfg.engine import PreciseBN
from lazycfg.solver import (
    ClipGradNorm,
    ClipGradNormPerParameter,
    ClipGradValue,
    ConstantParamScheduler,
    CosineParamScheduler,
    MultiStepParamScheduler,
    WarmupParamScheduler,
    WarmupPolyParamScheduler,
    get_default_optimizer_params,
)

__all__ = ["build_lr_multiplier", "build_optimizer", "train_settings"]

_SOLVER = "SOLVER"


def build_optimizer(keys: Keys, *, sgd: bool = False) -> Any:
    """Return the node of the optimizer.

    ``SOLVER.OPTIMIZER``, a key of projects, is obeyed where it is given; Panoptic-DeepLab's default is Adam.
    With `sgd`, it is SGD whatever that key says.
    """
    is_named = not sgd and (
        keys.written("SOLVER.OPTIMIZER") or keys("MODEL.META_ARCHITECTURE") == "PanopticDeepLab"
    )
    name = keys("SOLVER.OPTIMIZER").upper() if is_named else "SGD"
    rate, decay = keys("SOLVER.BASE_LR"), keys("SOLVER.WEIGHT_DECAY")
    params: dict[str, Any] = {"model": ref("model")}
    norm = keys("SOLVER.WEIGHT_DECAY_NORM")
    if name == "SGD" or norm != decay:
        params["weight_decay_norm"] = norm
    if keys("SOLVER.BIAS_LR_FACTOR") != 1.0:
        params |= {"base_lr": ref("..lr"), "bias_lr_factor": keys("SOLVER.BIAS_LR_FACTOR")}
    of_biases = keys("SOLVER.WEIGHT_DECAY_BIAS")
    if of_biases is not None and of_biases != decay:
        params["weight_decay_bias"] = of_biases
    overrides = _rates_by_name(keys)
    if overrides:
        params["overrides"] = overrides
    groups = L(get_default_optimizer_params)(**params)
    if name == "SGD":
        return L(torch.optim.SGD)(
            params=groups,
            lr=rate,
            momentum=keys("SOLVER.MOMENTUM"),
            weight_decay=decay,
            nesterov=keys("SOLVER.NESTEROV"),
        )
    kinds: dict[str, Any] = {"ADAM": torch.optim.Adam, "ADAMW": torch.optim.AdamW}
    if name not in kinds:
        raise keys.mistake("SOLVER.OPTIMIZER", f"is {name!r}, but one of SGD, ADAM, ADAMW is known")
    return L(kinds[name])(params=groups, lr=rate, weight_decay=decay)


def _rates_by_name(keys: Keys) -> dict[str, Any]:
    """Return the rates that DensePose gives to the embeddings of its meshes."""
    section = "MODEL.ROI_DENSEPOSE_HEAD.CSE"
    if keys.part("MODEL.ROI_HEADS.NAME") != "DensePoseROIHeads":
        return {}
    factors = {
        "features": keys(f"{section}.FEATURES_LR_FACTOR"),
        "embeddings": keys(f"{section}.EMBEDDING_LR_FACTOR"),
    }
    rate = keys("SOLVER.BASE_LR")
    return {name: {"lr": rate * factor} for name, factor in factors.items() if factor != 1.0}


def build_lr_multiplier(keys: Keys) -> Any:
    """Return the node of the schedule."""
    steps = keys("SOLVER.MAX_ITER")
    if steps <= 0:
        raise keys.mistake("SOLVER.MAX_ITER", f"is {steps}, but a run needs a step")
    kinds = {
        "WarmupMultiStepLR": _multi_step,
        "WarmupCosineLR": _cosine,
        "WarmupStepWithFixedGammaLR": _equal_steps,
        "WarmupPolyLR": None,
    }
    kind = choose(keys, "SOLVER.LR_SCHEDULER_NAME", kinds)
    warmup = {
        "warmup_factor": keys("SOLVER.WARMUP_FACTOR"),
        "warmup_length": min(keys("SOLVER.WARMUP_ITERS") / steps, 1.0),
        "warmup_method": keys("SOLVER.WARMUP_METHOD"),
    }
    if kind is None:
        return L(WarmupPolyParamScheduler)(
            power=keys("SOLVER.POLY_LR_POWER"),
            **warmup,
            constant_ending=keys("SOLVER.POLY_LR_CONSTANT_ENDING"),
        )
    return L(WarmupParamScheduler)(
        scheduler=kind(keys), **warmup, rescale_interval=keys("SOLVER.RESCALE_INTERVAL")
    )


def _multi_step(keys: Keys) -> Any:
    total, gamma = keys("SOLVER.MAX_ITER"), keys("SOLVER.GAMMA")
    milestones = [step for step in keys("SOLVER.STEPS") if step < total]
    if not milestones:
        return L(ConstantParamScheduler)(value=1.0)
    if sorted(set(milestones)) != milestones:
        raise keys.mistake("SOLVER.STEPS", f"is {keys('SOLVER.STEPS')}, but should rise")
    return L(MultiStepParamScheduler)(
        _powers(gamma, len(milestones)), milestones=milestones, num_updates=total
    )


def _powers(gamma: float, number: int) -> list[float]:
    return [float(f"{gamma**power:.12g}") for power in range(number + 1)]


def _cosine(keys: Keys) -> Any:
    end = keys("SOLVER.BASE_LR_END") / keys("SOLVER.BASE_LR")
    if not 0.0 <= end <= 1.0:
        raise keys.mistake("SOLVER.BASE_LR_END", "is not between 0 and BASE_LR")
    return L(CosineParamScheduler)(start_value=1.0, end_value=end)


def _equal_steps(keys: Keys) -> Any:
    decays, gamma = keys("SOLVER.NUM_DECAYS"), keys("SOLVER.GAMMA")
    return L(MultiStepParamScheduler)(
        _powers(gamma, decays),
        milestones=[step / (decays + 1) for step in range(1, decays + 1)],
        num_updates=1.0,
    )


def train_settings(keys: Keys) -> dict[str, Any]:
    """Return what a run's settings, `train`, have to be; the others stay as they are."""
    found: dict[str, Any] = {
        "init_checkpoint": _weights(keys("MODEL.WEIGHTS")),
        "max_iter": keys("SOLVER.MAX_ITER"),
        "output_dir": keys("OUTPUT_DIR"),
        "cudnn_benchmark": keys("CUDNN_BENCHMARK"),
        "eval_period": keys("TEST.EVAL_PERIOD"),
        "checkpointer": {"period": keys("SOLVER.CHECKPOINT_PERIOD")},
        "clip_grad": _clipping(keys),
    }
    ignored = _of_other_classes(keys)
    if ignored:
        found["init_ignore"] = ignored
    if keys("SEED") >= 0:
        found["seed"] = keys("SEED")
    if keys("MODEL.DEVICE") != "cuda":  # which "auto" is where there is one
        found["device"] = keys("MODEL.DEVICE")
    if keys("SOLVER.AMP.ENABLED"):
        found["amp"] = {"enabled": True, "dtype": "float16"}
    if keys("TEST.PRECISE_BN.ENABLED"):
        found["hooks"] = [_precise_bn(keys)]
    return found


def _weights(name: str) -> str:
    """Return the name of weights as ours are named: those of the catalog lie in the folder of detectron2."""
    prefix = "catalog://ImageNetPretrained/"
    if name.startswith(prefix):
        return f"detectron2://ImageNetPretrained/{name.removeprefix(prefix)}.pkl"
    return name


# The numbers of classes of published models of detectron2, by the beginnings of their names
_CLASSES = {
    "detectron2://COCO-Detection/": 80,
    "detectron2://COCO-InstanceSegmentation/": 80,
    "detectron2://COCO-PanopticSegmentation/": 80,
    "detectron2://Misc/": 80,
    "detectron2://COCO-Keypoints/": 1,
    "detectron2://LVISv0.5-InstanceSegmentation/": 1230,
    "detectron2://Cityscapes/": 8,
    "detectron2://PascalVOC-Detection/": 20,
}


def _of_other_classes(keys: Keys) -> list[str]:
    """Return the weights of a published model that are for other classes: detectron2 leaves out what does not
    fit, ours refuses it unless it is told.
    """
    weights, kind = keys("MODEL.WEIGHTS"), keys("MODEL.META_ARCHITECTURE")
    published = next((number for name, number in _CLASSES.items() if weights.startswith(name)), None)
    is_dense = kind == "RetinaNet"
    if published is None or not (is_dense or kind in ("GeneralizedRCNN", "PanopticFPN")):
        return []
    classes = keys("MODEL.RETINANET.NUM_CLASSES" if is_dense else "MODEL.ROI_HEADS.NUM_CLASSES")
    if published == classes:
        return []
    if is_dense:
        return ["head.cls_score.*"]
    cascade = keys.part("MODEL.ROI_HEADS.NAME") == "CascadeROIHeads"
    found = ["roi_heads.box_predictor.*.cls_score.*" if cascade else "roi_heads.box_predictor.*"]
    if keys("MODEL.MASK_ON") and not keys("MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK"):
        found.append("roi_heads.mask_head.predictor.*")
    return found


def _clipping(keys: Keys) -> Any:
    section = "SOLVER.CLIP_GRADIENTS"
    if not keys(f"{section}.ENABLED"):
        return None
    bound = keys(f"{section}.CLIP_VALUE")
    kinds = {"value": ClipGradValue, "norm": ClipGradNormPerParameter, "full_model": ClipGradNorm}
    kind = choose(keys, f"{section}.CLIP_TYPE", kinds)
    if kind is ClipGradValue:
        return L(ClipGradValue)(clip_value=bound)
    return L(kind)(max_norm=bound, norm_type=keys(f"{section}.NORM_TYPE"))


def _precise_bn(keys: Keys) -> Any:
    parts = ("dataset", "mapper", "total_batch_size", "num_workers", "seed")
    return L(PreciseBN)(
        period=ref("train.eval_period"),
        data_loader=L(build_detection_train_loader)(
            **{part: ref(f"dataloader.train.{part}") for part in parts}
        ),
        num_iter=keys("TEST.PRECISE_BN.NUM_ITER"),
    )
