"""MViTv2 (arXiv:2112.01526) as bottom-up networks: ``model.backbone.bottom_up = mvitv2_t``."""

from functools import partial
from typing import Any

from torch import nn

from lazycfg import LazyCall as L
from lazycfg.modeling import MViT

mvitv2_t: Any = L(MViT)(
    embed_dim=96,
    depth=10,
    num_heads=1,
    last_block_indexes=(0, 2, 7, 9),
    residual_pooling=True,
    drop_path_rate=0.2,
    norm_layer=partial(nn.LayerNorm, eps=1e-6),
    out_features=("scale2", "scale3", "scale4", "scale5"),
)

mvitv2_s = mvitv2_t.copy()
mvitv2_s.update(depth=16, last_block_indexes=(0, 2, 13, 15))

mvitv2_b = mvitv2_t.copy()
mvitv2_b.update(depth=24, last_block_indexes=(1, 4, 20, 23), drop_path_rate=0.4)

mvitv2_l = mvitv2_t.copy()
mvitv2_l.update(embed_dim=144, depth=48, num_heads=2, last_block_indexes=(1, 7, 43, 47), drop_path_rate=0.5)

mvitv2_h = mvitv2_t.copy()
mvitv2_h.update(
    embed_dim=192,
    depth=80,
    num_heads=3,
    last_block_indexes=(3, 11, 71, 79),
    drop_path_rate=0.6,
    use_act_checkpoint=True,
)
