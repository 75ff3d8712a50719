"""Published data sets that no config here is trained on, ready to be put into `dataloader`.

    from lazycfg.projects.densepose.configs.common.more_datasets import posetrack2017

    dataloader.test.dataset = posetrack2017("val")

They are looked for in `$DETECTRON2_DATASETS` (`datasets` when unset), in the folders that the functions name.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.projects.densepose import DensePoseCocoDataset

_root = "${oc.env:DETECTRON2_DATASETS,datasets}"


def _coco(name: str, images: str, annotations: str) -> Any:
    return L(DensePoseCocoDataset)(
        name=name,
        json_file=f"{_root}/{annotations}",
        image_root=f"{_root}/{images}",
        on_error="skip",
    )


def posetrack2017(split: str) -> Any:
    """Frames of videos with several people, and regions in which nobody is annotated: "train" or "val"."""
    return _coco(
        f"densepose_posetrack2017_{split}",
        "posetrack2017/posetrack_data_2017",
        f"posetrack2017/densepose_posetrack_{split}2017.json",
    )


def densepose_coco_100() -> Any:
    """The first 100 images of DensePose-COCO's minival, by which models are checked."""
    return _coco(
        "densepose_coco_2014_minival_100",
        "coco/val2014",
        "coco/annotations/densepose_minival2014_100.json",
    )


def lvis_v05(split: str) -> Any:
    """LVIS v0.5 with the points of DensePose-COCO, in COCO's format: "train" or "val"."""
    return _coco(f"lvis_v05_{split}", f"coco/{split}2017", f"lvis/lvis_v0.5_plus_dp_{split}.json")


def base_coco_2017(split: str) -> Any:
    """COCO 2017, objects without points: "train", "val" or "val_100"."""
    images, _, few = split.partition("_")
    file = f"instances_{images}2017{'_' + few if few else ''}.json"
    return _coco(f"base_coco_2017_{split}", f"coco/{images}2017", f"coco/annotations/{file}")
