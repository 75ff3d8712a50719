"""The data sets that detectron2 knows by name, as nodes, and what evaluates a data set."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from lazycfg import LazyCall as L
from lazycfg.config import Node
from lazycfg.data import (
    ADE20KSemSeg,
    CityscapesInstances,
    CityscapesPanoptic,
    CityscapesSemSeg,
    CocoDataset,
    CocoPanopticDataset,
    LVISDataset,
    SemSegDataset,
    VOCDataset,
)
from lazycfg.data.datasets import COCO_PERSON_KEYPOINT_OKS_SIGMAS
from lazycfg.evaluation import (
    CityscapesInstanceEvaluator,
    CityscapesSemSegEvaluator,
    COCOEvaluator,
    COCOPanopticEvaluator,
    LVISEvaluator,
    PascalVOCDetectionEvaluator,
    SemSegEvaluator,
)
from lazycfg.projects.densepose import DensePoseCocoDataset, DensePoseLVISDataset
from lazycfg.projects.point_sup import CocoPointsDataset

__all__ = ["builtin_dataset", "class_of_dataset", "evaluators_of", "has_instances"]

_ROOT = "${oc.env:DETECTRON2_DATASETS,datasets}"
_COCO = f"{_ROOT}/coco"


def builtin_dataset(name: str) -> Node | None:
    """Return the node of a data set that detectron2 knows by this name; None for others."""
    for pattern, build in _BUILTIN:
        match = re.fullmatch(pattern, name)
        if match is not None:
            node: Node = build(name, *match.groups())
            return node
    return None


def _images(year: str, split: str) -> str:
    folder = "train" if split == "train" else "test" if split.startswith("test") else "val"
    return f"{_COCO}/{folder}{year}"


def _file(year: str, split: str) -> str:
    name, _, few = split.partition("_")
    return f"{name}{year}{'_' + few if few else ''}"


def _coco(name: str, keypoints: str | None, year: str, split: str) -> Any:
    kind = "person_keypoints" if keypoints else "instances"
    more: dict[str, Any] = {"keypoint_oks_sigmas": COCO_PERSON_KEYPOINT_OKS_SIGMAS} if keypoints else {}
    if split == "train" or (year == "2014" and split in ("val", "valminusminival")):
        more["on_error"] = "skip"
    if split.startswith("test"):
        kind, more["annotated"] = "image_info", False
    return L(CocoDataset)(
        name=name,
        json_file=f"{_COCO}/annotations/{kind}_{_file(year, split)}.json",
        image_root=_images(year, split),
        **more,
    )


def _panoptic(name: str, split: str, form: str | None) -> Any:
    file = _file("2017", split)
    instances = None
    if form != "_stuffonly":
        instances = _coco(f"coco_2017_{split}", None, "2017", split)
    return L(CocoPanopticDataset)(
        name=name,
        panoptic_json=f"{_COCO}/annotations/panoptic_{file}.json",
        panoptic_root=f"{_COCO}/panoptic_{file}",
        image_root=_images("2017", split),
        instances=instances,
        separated=form is not None,
    )


def _lvis(name: str, version: str, split: str) -> Any:
    return L(LVISDataset)(
        name=name,
        json_file=f"{_ROOT}/lvis/{name.replace('_test_', '_image_info_test_')}.json",
        image_root=_COCO,
        **({"on_error": "skip"} if split == "train" else {}),
    )


def _cityscapes(name: str, kind: str, split: str) -> Any:
    root = f"{_ROOT}/cityscapes"
    files: dict[str, Any] = {
        "name": name,
        "image_dir": f"{root}/leftImg8bit/{split}",
        "gt_dir": f"{root}/gtFine/{split}",
    }
    if kind == "instance_seg":
        return L(CityscapesInstances)(**files)
    if kind == "sem_seg":
        return L(CityscapesSemSeg)(**files)
    panoptic = f"{root}/gtFine/cityscapes_panoptic_{split}"
    return L(CityscapesPanoptic)(
        **files, panoptic_json=f"{panoptic}.json", panoptic_root=panoptic, sem_seg=False
    )


def _voc(name: str, year: str, split: str) -> Any:
    return L(VOCDataset)(name=name, root=f"{_ROOT}/VOC{year}", split=split, year=int(year))


def _ade20k(name: str, split: str) -> Any:
    return L(ADE20KSemSeg)(root=f"{_ROOT}/ADEChallengeData2016", split=split)


def _points(name: str, split: str, rest: str) -> Any:
    return L(CocoPointsDataset)(
        name=name,
        json_file=f"{_COCO}/annotations/instances_{split}2017_{rest}.json",
        image_root=f"{_COCO}/{split}2017",
        on_error="skip",
    )


def _densepose(name: str, images: str, annotations: str) -> Any:
    return L(DensePoseCocoDataset)(
        name=name, json_file=f"{_ROOT}/{annotations}", image_root=f"{_ROOT}/{images}", on_error="skip"
    )


def _densepose_coco(name: str, split: str, cse: str | None) -> Any:
    images = "coco/train2014" if split == "train" else "coco/val2014"
    if cse:
        return _densepose(name, images, f"coco_cse/densepose_{_file('2014', split)}_cse.json")
    return _densepose(name, images, f"coco/annotations/densepose_{_file('2014', split)}.json")


def _chimps(name: str, rest: str | None) -> Any:
    file = f"densepose_chimps/densepose_chimps_{rest or 'densepose'}.json"
    return _densepose(name, "densepose_chimps/images", file)


def _base_coco(name: str, split: str) -> Any:
    folder = "train2017" if split == "train" else "val2017"
    return _densepose(name, f"coco/{folder}", f"coco/annotations/instances_{_file('2017', split)}.json")


def _densepose_lvis(name: str, split: str) -> Any:
    return L(DensePoseLVISDataset)(
        name=name,
        json_file=f"{_ROOT}/lvis/densepose_lvis_v1_{split}.json",
        image_root=_ROOT,
        folder_prefix="coco_",
        on_error="skip",
    )


_BUILTIN: tuple[tuple[str, Callable[..., Any]], ...] = (
    (r"(keypoints_)?coco_(2014)_(train|val|minival|valminusminival|minival_100)", _coco),
    (r"(keypoints_)?coco_(2017)_(train|val|val_100)", _coco),
    (r"()coco_(2017)_(test|test-dev)", _coco),
    (r"coco_2017_(train|val|val_100)_panoptic(_separated|_stuffonly)?", _panoptic),
    (r"lvis_(v1|v0\.5)_(train|val|test|test_dev|test_challenge|val_rand_100)", _lvis),
    (r"cityscapes_fine_(instance_seg|sem_seg|panoptic)_(train|val|test)", _cityscapes),
    (r"voc_(2007|2012)_(trainval|train|val|test)", _voc),
    (r"ade20k_sem_seg_(train|val)", _ade20k),
    (r"coco_2017_(train|val)_points_(n\d+_v\d+_without_masks)", _points),
    (r"densepose_coco_2014_(train|minival|minival_100|valminusminival)(_cse)?", _densepose_coco),
    (r"densepose_chimps(?:_(cse_train|cse_val))?", _chimps),
    (r"base_coco_2017_(train|val|val_100)", _base_coco),
    (r"densepose_lvis_v1_((?:ds1|ds2)_(?:train|val)_v1|ds1_val_animals_100)", _densepose_lvis),
)


def class_of_dataset(node: Any) -> Any:
    """Return the class of a data set, that of the first one in a wrapper; None where that is no class."""
    while isinstance(node, Node):
        target = dict.get(node, "_target_")
        inner = dict.get(node, "dataset") or next(iter(dict.get(node, "datasets") or ()), None)
        if inspect.isclass(target) and not isinstance(inner, Node):
            return target
        node = inner
    return None


def has_instances(node: Any) -> bool:
    """Return whether the records of a data set have annotated objects."""
    kind = class_of_dataset(node)
    if kind is None:
        return True
    if issubclass(kind, CityscapesPanoptic):
        return False
    if issubclass(kind, CocoPanopticDataset):
        return dict.get(node, "instances") is not None
    return not issubclass(kind, SemSegDataset | CityscapesSemSeg)


def evaluators_of(node: Any) -> list[Any]:
    """Return the classes of what evaluates a model on a data set."""
    kind = class_of_dataset(node) or CocoDataset
    for base, found in _EVALUATORS:
        if issubclass(kind, base):
            if base is CocoPanopticDataset and not has_instances(node):
                return [SemSegEvaluator]
            return list(found)
    return [COCOEvaluator]


_EVALUATORS: tuple[tuple[type, tuple[Any, ...]], ...] = (
    (CityscapesPanoptic, (COCOPanopticEvaluator, CityscapesSemSegEvaluator, CityscapesInstanceEvaluator)),
    (CocoPanopticDataset, (COCOEvaluator, SemSegEvaluator, COCOPanopticEvaluator)),
    (CityscapesInstances, (CityscapesInstanceEvaluator,)),
    (CityscapesSemSeg, (CityscapesSemSegEvaluator,)),
    (VOCDataset, (PascalVOCDetectionEvaluator,)),
    (DensePoseLVISDataset, (COCOEvaluator,)),
    (LVISDataset, (LVISEvaluator,)),
    (SemSegDataset, (SemSegEvaluator,)),
)
