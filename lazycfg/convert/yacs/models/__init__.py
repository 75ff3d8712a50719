"""The model that a config describes."""

from __future__ import annotations

from typing import Any

from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.common import choose
from lazycfg.convert.yacs.models.dense import retinanet
from lazycfg.convert.yacs.models.panoptic_deeplab import panoptic_deeplab
from lazycfg.convert.yacs.models.rcnn import generalized_rcnn, panoptic_fpn, proposal_network
from lazycfg.convert.yacs.models.segmentation import semantic_segmentor
from lazycfg.convert.yacs.models.tensormask import tensormask

__all__ = ["build_model"]

_META_ARCHITECTURES = {
    "GeneralizedRCNN": generalized_rcnn,
    "ProposalNetwork": proposal_network,
    "PanopticFPN": panoptic_fpn,
    "RetinaNet": retinanet,
    "SemanticSegmentor": semantic_segmentor,
    "PanopticDeepLab": panoptic_deeplab,
    "TensorMask": tensormask,
}


def build_model(keys: Keys) -> Any:
    """Return the node of the model.

    Raises:
        ConvertError: a name in the keys is not known, or values do not go together.
    """
    return choose(keys, "MODEL.META_ARCHITECTURE", _META_ARCHITECTURES)(keys)
