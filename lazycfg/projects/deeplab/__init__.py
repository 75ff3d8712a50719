"""DeepLab v3 and v3+: the names of the reference's project, all of which are parts of the library."""

from lazycfg.layers import ASPP, DeepLabCE
from lazycfg.modeling import DeepLabStem, DeepLabV3Head, DeepLabV3PlusHead
from lazycfg.solver import WarmupPolyLR, WarmupPolyParamScheduler

__all__ = [
    "ASPP",
    "DeepLabCE",
    "DeepLabStem",
    "DeepLabV3Head",
    "DeepLabV3PlusHead",
    "WarmupPolyLR",
    "WarmupPolyParamScheduler",
]
