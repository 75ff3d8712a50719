"""Optimizers over the parameters of the config's `model`, or of ``optimizer.params.model = module``."""

from typing import Any

import torch

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.solver import get_default_optimizer_params

# For batches of 16 pictures: change lr in proportion to the batch.
SGD: Any = L(torch.optim.SGD)(
    params=L(get_default_optimizer_params)(model=ref("model"), weight_decay_norm=0.0),
    lr=0.02,
    momentum=0.9,
    weight_decay=1e-4,
)

# For transformers.  `base_lr` is needed by lr_factor_func, which makes deeper layers learn faster.
AdamW: Any = L(torch.optim.AdamW)(
    params=L(get_default_optimizer_params)(
        model=ref("model"), base_lr=ref("..lr"), weight_decay_norm=0.0, overrides={}
    ),
    lr=1e-4,
    betas=(0.9, 0.999),
    weight_decay=0.1,
)
