"""RegNets (arXiv:2003.13678) as bottom-up networks: ``model.backbone.bottom_up = regnetx_4gf``.

The weights come from arXiv:2103.06877; they expect `pixel_std` of ImageNet.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.modeling import RegNet
from lazycfg.modeling.backbone.regnet import ResBottleneckBlock, SimpleStem

regnetx_4gf: Any = L(RegNet)(
    stem_class=SimpleStem,
    stem_width=32,
    block_class=ResBottleneckBlock,
    depth=23,
    w_a=38.65,
    w_0=96,
    w_m=2.43,
    group_width=40,
    norm="FrozenBN",
    out_features=["s1", "s2", "s3", "s4"],
)

regnety_4gf: Any = L(RegNet)(
    stem_class=SimpleStem,
    stem_width=32,
    block_class=ResBottleneckBlock,
    depth=22,
    w_a=31.41,
    w_0=96,
    w_m=2.24,
    group_width=64,
    se_ratio=0.25,
    norm="FrozenBN",
    out_features=["s1", "s2", "s3", "s4"],
)
