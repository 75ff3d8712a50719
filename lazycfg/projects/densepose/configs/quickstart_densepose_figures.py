"""Quickstart: a small DensePose R-CNN on generated figures.  A CPU, some minutes, nothing to download.

    python -m lazycfg.projects.densepose.make_figures --output datasets/figures
    python tools/train_net.py --config-file projects/densepose/configs/quickstart_densepose_figures.py

The model is the published one made smaller, see `common/figures.py`.
"""

from lazycfg.model_zoo.common.optim import AdamW as optimizer
from lazycfg.model_zoo.common.schedules import warmup_cosine
from lazycfg.model_zoo.common.train import train

from .common.densepose_rcnn_fpn import model
from .common.figures import dataloader, make_small

make_small(model)
model.roi_heads.densepose_losses.heatmap_size = 56

optimizer.update(lr=2e-3, weight_decay=0.05)
lr_multiplier = warmup_cosine(warmup_length=0.1)

train.update(output_dir="./output/quickstart_densepose", max_iter=600, eval_period=0)
