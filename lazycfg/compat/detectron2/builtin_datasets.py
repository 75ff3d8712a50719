"""The data sets that detectron2 knows by name, below ``$DETECTRON2_DATASETS`` (``datasets`` where it is
unset).
"""

from __future__ import annotations

import os
from typing import Any

from .builtin_meta import coco_meta, keypoint_meta, panoptic_separated_meta, panoptic_standard_meta
from .catalogs import DatasetCatalog, MetadataCatalog

__all__ = ["COCO", "COCO_PANOPTIC", "LVIS", "register_builtin"]

_COCO_PARTS = (
    ("2014", "train", "train2014", "train2014"),
    ("2014", "val", "val2014", "val2014"),
    ("2014", "minival", "val2014", "minival2014"),
    ("2014", "valminusminival", "val2014", "valminusminival2014"),
    ("2017", "train", "train2017", "train2017"),
    ("2017", "val", "val2017", "val2017"),
    ("2017", "val_100", "val2017", "val2017_100"),
)  # year, part, folder of images, end of the file's name

COCO: dict[str, dict[str, tuple[str, str]]] = {
    "coco": {
        f"coco_{year}_{split}": (f"coco/{folder}", f"coco/annotations/instances_{file}.json")
        for year, split, folder, file in _COCO_PARTS
    }
    | {
        "coco_2017_test": ("coco/test2017", "coco/annotations/image_info_test2017.json"),
        "coco_2017_test-dev": ("coco/test2017", "coco/annotations/image_info_test-dev2017.json"),
    },
    "coco_person": {
        f"keypoints_coco_{year}_{split}": (f"coco/{folder}", f"coco/annotations/person_keypoints_{file}.json")
        for year, split, folder, file in _COCO_PARTS
    },
}
"""Folder of images and annotation file, by name, by what the classes are."""

COCO_PANOPTIC: dict[str, tuple[str, str, str]] = {
    f"coco_2017_{split}_panoptic": (
        f"coco/panoptic_{folder}",
        f"coco/annotations/panoptic_{folder}.json",
        f"coco/panoptic_stuff_{folder}",
    )
    for split, folder in (("train", "train2017"), ("val", "val2017"), ("val_100", "val2017_100"))
}
"""Folder of panoptic labels, their file, and the folder of labels of stuff, by name."""

LVIS: dict[str, tuple[str, str]] = {
    f"lvis_{version}_{split}{more}": ("coco/", f"lvis/lvis_{version}_{split}{more}.json")
    for version in ("v1", "v0.5")
    for split in ("train", "val")
    for more in ("", "_cocofied")
    if not (version == "v1" and more)
} | {
    "lvis_v1_test_dev": ("coco/", "lvis/lvis_v1_image_info_test_dev.json"),
    "lvis_v1_test_challenge": ("coco/", "lvis/lvis_v1_image_info_test_challenge.json"),
    "lvis_v0.5_val_rand_100": ("coco/", "lvis/lvis_v0.5_val_rand_100.json"),
    "lvis_v0.5_test": ("coco/", "lvis/lvis_v0.5_image_info_test.json"),
}

_done: list[str] = []


def datasets_root() -> str:
    """Return the folder of the data sets."""
    return os.path.expanduser(os.getenv("DETECTRON2_DATASETS", "datasets"))


def register_builtin() -> None:
    """Register all data sets that are known by name, once."""
    if _done:
        return
    _done.append("builtin")
    register_coco(datasets_root())
    register_lvis(datasets_root())
    register_voc(datasets_root())
    register_cityscapes(datasets_root())
    register_cityscapes_panoptic(datasets_root())
    register_ade20k(datasets_root())


def register_coco(root: str) -> None:
    """Register COCO's instances, keypoints and panoptic labels below a folder."""
    from .coco import register_coco_instances, register_coco_panoptic, register_coco_panoptic_separated

    metas: dict[str, Any] = {"coco": coco_meta(), "coco_person": keypoint_meta()}
    for kind, splits in COCO.items():
        for name, (images, file) in splits.items():
            register_coco_instances(name, metas[kind], os.path.join(root, file), os.path.join(root, images))
    for prefix, (pan_root, pan_json, sem_root) in COCO_PANOPTIC.items():
        instances = prefix.removesuffix("_panoptic")
        images, file = COCO["coco"][instances]
        where = [os.path.join(root, path) for path in (images, pan_root, pan_json)]
        instances_json = os.path.join(root, file)
        register_coco_panoptic(prefix, panoptic_standard_meta(), *where, instances_json)
        register_coco_panoptic_separated(
            prefix, panoptic_separated_meta(), *where, os.path.join(root, sem_root), instances_json
        )


def register_lvis(root: str) -> None:
    """Register LVIS below a folder."""
    from .coco import get_lvis_instances_meta, register_lvis_instances

    for name, (images, file) in LVIS.items():
        meta = get_lvis_instances_meta(name)
        register_lvis_instances(name, meta, os.path.join(root, file), os.path.join(root, images))


def register_voc(root: str) -> None:
    """Register VOC 2007 and 2012 below a folder."""
    from .coco import register_pascal_voc

    for year in (2007, 2012):
        for split in ("trainval", "train", "val", *(("test",) if year == 2007 else ())):
            name = f"voc_{year}_{split}"
            register_pascal_voc(name, os.path.join(root, f"VOC{year}"), split, year)
            MetadataCatalog.get(name).set(evaluator_type="pascal_voc")


def register_cityscapes(root: str) -> None:
    """Register Cityscapes' instances and semantic labels below a folder."""
    from .coco import register_cityscapes_split

    for split in ("train", "val", "test"):
        register_cityscapes_split(root, split)


def register_cityscapes_panoptic(root: str) -> None:
    """Register Cityscapes' panoptic labels below a folder."""
    from .coco import register_cityscapes_panoptic_split

    for split in ("train", "val"):
        register_cityscapes_panoptic_split(root, split)


def register_ade20k(root: str) -> None:
    """Register the scene parsing of ADE20K below a folder."""
    from lazycfg.data.datasets import ADE20K_CLASSES

    from .coco import load_sem_seg

    for split, folder in (("train", "training"), ("val", "validation")):
        images = os.path.join(root, "ADEChallengeData2016", "images", folder)
        labels = os.path.join(root, "ADEChallengeData2016", "annotations_detectron2", folder)
        name = f"ade20k_sem_seg_{split}"
        DatasetCatalog.register(
            name, lambda labels=labels, images=images: load_sem_seg(labels, images, "png", "jpg")
        )
        MetadataCatalog.get(name).set(
            stuff_classes=list(ADE20K_CLASSES),
            image_root=images,
            sem_seg_root=labels,
            evaluator_type="sem_seg",
            ignore_label=255,
        )
