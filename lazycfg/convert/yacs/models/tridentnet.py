"""The parts of TridentNet."""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.common import Shapes
from lazycfg.convert.yacs.models.proposals import rpn
from lazycfg.convert.yacs.models.roi_heads import res5_arguments, standard_arguments
from lazycfg.projects.tridentnet import (
    TridentRes5ROIHeads,
    TridentRPN,
    TridentStandardROIHeads,
    is_trident_fast,
    make_trident_resnet_stages,
)

__all__ = ["trident_res5_heads", "trident_rpn", "trident_stages", "trident_standard_heads"]

_SECTION = "MODEL.TRIDENT"


def trident_stages(keys: Keys) -> Any:
    """Return the stages of a ResNet one of which has branches."""
    given = {
        "depth": keys("MODEL.RESNETS.DEPTH"),
        "trident_stage": keys(f"{_SECTION}.TRIDENT_STAGE"),
        "num_branch": keys(f"{_SECTION}.NUM_BRANCH"),
        "branch_dilations": keys(f"{_SECTION}.BRANCH_DILATIONS"),
        "test_branch_idx": keys(f"{_SECTION}.TEST_BRANCH_IDX"),
        "stride_in_1x1": keys("MODEL.RESNETS.STRIDE_IN_1X1"),
        "norm": keys("MODEL.RESNETS.NORM"),
    }
    for name, key, usual in (
        ("num_groups", "NUM_GROUPS", 1),
        ("width_per_group", "WIDTH_PER_GROUP", 64),
        ("stem_channels", "STEM_OUT_CHANNELS", 64),
        ("res5_dilation", "RES5_DILATION", 1),
    ):
        if keys(f"MODEL.RESNETS.{key}") != usual:
            given[name] = keys(f"MODEL.RESNETS.{key}")
    if any(keys("MODEL.RESNETS.DEFORM_ON_PER_STAGE")):
        given |= {
            "deform_on_per_stage": keys("MODEL.RESNETS.DEFORM_ON_PER_STAGE"),
            "deform_modulated": keys("MODEL.RESNETS.DEFORM_MODULATED"),
            "deform_num_groups": keys("MODEL.RESNETS.DEFORM_NUM_GROUPS"),
        }
    return L(make_trident_resnet_stages)(**given)


def _branches(keys: Keys) -> dict[str, Any]:
    return {
        "num_branch": keys(f"{_SECTION}.NUM_BRANCH"),
        "trident_fast": L(is_trident_fast)(test_branch_idx=keys(f"{_SECTION}.TEST_BRANCH_IDX")),
    }


def trident_rpn(keys: Keys, shapes: Shapes) -> Any:
    """Return a region proposal network on the maps of all branches."""
    return L(TridentRPN)(**_branches(keys), **rpn(keys, shapes).args())


def trident_res5_heads(keys: Keys, shapes: Shapes) -> Any:
    """Return heads that are the last stage of a ResNet, on the maps of all branches."""
    return L(TridentRes5ROIHeads)(**_branches(keys), **res5_arguments(keys, shapes))


def trident_standard_heads(keys: Keys, shapes: Shapes) -> Any:
    """Return heads with a pooler each, on the maps of all branches."""
    return L(TridentStandardROIHeads)(**_branches(keys), **standard_arguments(keys, shapes))
