"""All libraries whose weights are known, by name."""

from __future__ import annotations

import re

from lazycfg.checkpoint.adapter import Adapter
from lazycfg.checkpoint.caffe2_names import CAFFE2
from lazycfg.checkpoint.torchvision_names import TORCHVISION
from lazycfg.checkpoint.trunk_names import TRUNKS

__all__ = ["ADAPTERS", "Adapter"]


def _old_pointrend(key: str) -> str:
    """From PointRend's first names, which its published weights have."""
    key = re.sub(r"^roi_heads\.mask_(point|coarse)_head\.", r"roi_heads.mask_head.\1_head.", key)
    return re.sub(r"^(roi_heads\.mask_head\.coarse_head\.)coarse_mask_fc(\d)", r"\1fc\2", key)


ADAPTERS: dict[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        Adapter(name="none", recognises=lambda keys: True),
        *TORCHVISION,
        CAFFE2,
        Adapter(
            name="old-pointrend",
            other_names=_old_pointrend,
            recognises=lambda keys: any(key.startswith("roi_heads.mask_coarse_head.") for key in keys),
        ),
        *TRUNKS,
    )
}
