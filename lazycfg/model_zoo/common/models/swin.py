"""Swin transformers (arXiv:2103.14030) as bottom-up networks: ``model.backbone.bottom_up = swin_b``."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.modeling import SwinTransformer

swin_t: Any = L(SwinTransformer)(
    depths=[2, 2, 6, 2],
    embed_dim=96,
    num_heads=[3, 6, 12, 24],
    drop_path_rate=0.2,
)

swin_b: Any = L(SwinTransformer)(
    depths=[2, 2, 18, 2],
    embed_dim=128,
    num_heads=[4, 8, 16, 32],
    drop_path_rate=0.4,
)

swin_l: Any = L(SwinTransformer)(
    depths=[2, 2, 18, 2],
    embed_dim=192,
    num_heads=[6, 12, 24, 48],
    drop_path_rate=0.4,
)
