"""Panoptic-DeepLab."""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.backbones import build_backbone
from lazycfg.convert.yacs.models.common import choose, images, strided
from lazycfg.convert.yacs.models.segmentation import crop_size, decoder_channels
from lazycfg.projects.panoptic_deeplab import (
    PanopticDeepLab,
    PanopticDeepLabInsEmbedHead,
    PanopticDeepLabSemSegHead,
)

__all__ = ["panoptic_deeplab"]

_SEM = "MODEL.SEM_SEG_HEAD"
_INS = "MODEL.INS_EMBED_HEAD"
_SECTION = "MODEL.PANOPTIC_DEEPLAB"


def panoptic_deeplab(keys: Keys) -> Any:
    """Return a Panoptic-DeepLab."""
    backbone, shapes = build_backbone(keys)
    choose(keys, f"{_SEM}.NAME", {"PanopticDeepLabSemSegHead": PanopticDeepLabSemSegHead})
    choose(keys, f"{_INS}.NAME", {"PanopticDeepLabInsEmbedHead": PanopticDeepLabInsEmbedHead})

    def decoder(section: str) -> dict[str, Any]:
        return {
            "input_shape": strided(keys, f"{section}.IN_FEATURES", shapes),
            "project_channels": keys(f"{section}.PROJECT_CHANNELS"),
            "aspp_dilations": keys(f"{section}.ASPP_DILATIONS"),
            "aspp_dropout": keys(f"{section}.ASPP_DROPOUT"),
            "decoder_channels": decoder_channels(keys, section),
            "head_channels": keys(f"{section}.HEAD_CHANNELS"),
            "common_stride": keys(f"{section}.COMMON_STRIDE"),
            "norm": keys(f"{section}.NORM"),
            "train_size": crop_size(keys),
            "use_depthwise_separable_conv": keys(f"{_SECTION}.USE_DEPTHWISE_SEPARABLE_CONV"),
        }

    return L(PanopticDeepLab)(
        backbone=backbone,
        sem_seg_head=L(PanopticDeepLabSemSegHead)(
            **decoder(_SEM),
            loss_weight=keys(f"{_SEM}.LOSS_WEIGHT"),
            loss_type=keys(f"{_SEM}.LOSS_TYPE"),
            loss_top_k=keys(f"{_SEM}.LOSS_TOP_K"),
            ignore_value=keys(f"{_SEM}.IGNORE_VALUE"),
            num_classes=keys(f"{_SEM}.NUM_CLASSES"),
        ),
        ins_embed_head=L(PanopticDeepLabInsEmbedHead)(
            **decoder(_INS),
            center_loss_weight=keys(f"{_INS}.CENTER_LOSS_WEIGHT"),
            offset_loss_weight=keys(f"{_INS}.OFFSET_LOSS_WEIGHT"),
        ),
        **images(keys),
        thing_ids=thing_ids(keys),
        stuff_area=keys(f"{_SECTION}.STUFF_AREA"),
        threshold=keys(f"{_SECTION}.CENTER_THRESHOLD"),
        nms_kernel=keys(f"{_SECTION}.NMS_KERNEL"),
        top_k=keys(f"{_SECTION}.TOP_K_INSTANCE"),
        predict_instances=keys(f"{_SECTION}.PREDICT_INSTANCES"),
        size_divisibility=keys(f"{_SECTION}.SIZE_DIVISIBILITY"),
        benchmark_network_speed=keys(f"{_SECTION}.BENCHMARK_NETWORK_SPEED"),
    )


# detectron2 asks its catalog for the classes that are things.
_THINGS = {
    "cityscapes_fine_panoptic_": range(11, 19),
    "coco_2017_": range(80),
}


def thing_ids(keys: Keys) -> list[int]:
    """Return the classes of the training data that are things."""
    names = keys("DATASETS.TRAIN")
    for prefix, things in _THINGS.items():
        if names and names[0].startswith(prefix):
            return list(things)
    raise keys.mistake(
        "DATASETS.TRAIN",
        f"which classes of {', '.join(names) or 'no data'} are things is not known",
        "convert with one of cityscapes_fine_panoptic_train and coco_2017_train_panoptic, and write "
        "`model.thing_ids = [...]` into the config",
    )
