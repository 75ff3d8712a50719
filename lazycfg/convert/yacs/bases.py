"""The parts of the model zoo that a converted config can begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lazycfg
from lazycfg.config import LazyConfig, Node
from lazycfg.convert.fitting import Edit, apply_edits, edits_size, fit
from lazycfg.convert.writing import Part

__all__ = ["DATA", "MODELS", "OPTIMIZERS", "SCHEDULES", "TRAIN", "Base", "fitted"]

_ZOO = "lazycfg.model_zoo.common"
_PROJECTS = "lazycfg.projects"

Base = tuple[str, str]
"""A module and the name in it."""


def _models(*names: str) -> tuple[Base, ...]:
    return tuple((f"{_ZOO}.models.{name}", "model") for name in names)


def _project(project: str, *names: str, key: str = "model") -> tuple[Base, ...]:
    return tuple((f"{_PROJECTS}.{project}.configs.common.{name}", key) for name in names)


MODELS: dict[str, tuple[Base, ...]] = {
    "GeneralizedRCNN": _models(
        "mask_rcnn_fpn",
        "faster_rcnn_fpn",
        "fast_rcnn_fpn",
        "mask_rcnn_c4",
        "faster_rcnn_c4",
        "mask_rcnn_dc5",
        "faster_rcnn_dc5",
        "keypoint_rcnn_fpn",
        "mask_rcnn_fpn_dconv",
        "mask_rcnn_fpn_gn",
        "mask_rcnn_fpn_syncbn",
        "cascade_rcnn",
        "cascade_rcnn_gn_dconv",
        "rotated_faster_rcnn",
    ),
    "ProposalNetwork": _models("rpn_fpn", "rpn_c4"),
    "PanopticFPN": _models("panoptic_fpn"),
    "RetinaNet": _models("retinanet"),
    "SemanticSegmentor": (
        *_models("semantic_fpn"),
        *_project("deeplab", "deeplab_v3", "deeplab_v3_plus"),
        *_project("point_rend", "pointrend_semantic_fpn"),
    ),
    "PanopticDeepLab": _project("panoptic_deeplab", "panoptic_deeplab"),
    "TensorMask": (("lazycfg.projects.tensormask.configs.tensormask_R_50_FPN_1x", "model"),),
}
"""By meta-architecture."""

_BY_HEAD: dict[Any, tuple[Base, ...]] = {
    "DensePoseROIHeads": _project(
        "densepose", "densepose_rcnn_fpn", "densepose_rcnn_hrfpn", "densepose_cse_fpn"
    ),
    "TridentRes5ROIHeads": (("lazycfg.projects.tridentnet.configs.tridentnet_fast_R_50_C4_1x", "model"),),
    "PointRendMaskHead": _project("point_rend", "pointrend_rcnn_fpn"),
    "ImplicitPointRendMaskHead": _project("point_rend", "implicit_pointrend_rcnn_fpn"),
    "ImplicitPointRendPointSupHead": _project("point_rend", "implicit_pointrend_rcnn_fpn"),
}
"""Other ones of R-CNNs, by the name of the mask head or of the ROI heads."""

DATA: tuple[Base, ...] = tuple(
    (f"{_ZOO}.data.{name}", "dataloader")
    for name in (
        "coco",
        "coco_2014",
        "coco_keypoint",
        "coco_keypoint_2014",
        "coco_panoptic",
        "coco_panoptic_separated",
        "coco_panoptic_stuffonly",
        "coco_proposals",
        "coco_test_dev",
        "coco_val_100",
        "lvis_v1",
        "lvis_v05",
        "voc",
        "cityscapes_instance_seg",
        "cityscapes_sem_seg",
        "cityscapes_panoptic",
        "ade20k_sem_seg",
    )
)
_DENSEPOSE_DATA = _project("densepose", "densepose_coco", "cse_coco", "chimps", key="dataloader")
_POINT_DATA = _project("point_sup", "coco_points", key="dataloader")

OPTIMIZERS: tuple[Base, ...] = ((f"{_ZOO}.optim", "SGD"), (f"{_ZOO}.optim", "AdamW"))
SCHEDULES: tuple[Base, ...] = tuple((f"{_ZOO}.schedules", f"lr_multiplier_{n}x") for n in (1, 2, 3, 6, 9))
TRAIN: tuple[Base, ...] = ((f"{_ZOO}.train", "train"),)


def candidates(keys: Any) -> dict[str, tuple[Base, ...]]:
    """Return the parts to choose from, by the top-level keys of a config."""
    models = MODELS[keys("MODEL.META_ARCHITECTURE")]
    if models is MODELS["GeneralizedRCNN"]:
        masks = keys("MODEL.MASK_ON") and keys("MODEL.ROI_MASK_HEAD.NAME")
        models = _BY_HEAD.get(masks) or _BY_HEAD.get(keys("MODEL.ROI_HEADS.NAME")) or models
    data = DATA
    if keys.part("MODEL.ROI_HEADS.NAME") == "DensePoseROIHeads":
        data = _DENSEPOSE_DATA
    elif keys.part("MODEL.ROI_HEADS.NAME") and keys("INPUT.POINT_SUP"):
        data = _POINT_DATA
    return {
        "model": models,
        "dataloader": data,
        "lr_multiplier": SCHEDULES,
        "optimizer": OPTIMIZERS,
        "train": TRAIN,
    }


def fitted(have: Node, want: Node, key: str, choices: tuple[Base, ...]) -> Part:
    """Put the part of the zoo into a config that needs the fewest edits to build what is wanted, with these.

    Args:
        have: the config; it gets the key.
        want: a config with what is wanted.
        key: of both.
        choices: what to choose from.

    Returns:
        how it is written.
    """
    best: tuple[int, Base, Node, list[Edit]] | None = None
    for module, name in choices:
        trial = have.copy()
        trial[key] = _loaded(module)[name]
        edits = fit(trial, want, key, whole=key != "train")
        size = edits_size(edits)
        if best is None or size < best[0]:
            best = size, (module, name), trial, edits
        if size == 0:
            break
    if best is None or any(edit.path == (key,) for edit in best[3]):
        have[key] = want[key].copy()
        return Part(key, "", "", have[key])
    _, base, trial, edits = best
    apply_edits(trial, edits)
    have[key] = trial[key]
    return Part(key, *base, have[key], tuple(edits))


def _loaded(module: str) -> Any:
    path = Path(lazycfg.__file__).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
    return LazyConfig.load(str(path))
