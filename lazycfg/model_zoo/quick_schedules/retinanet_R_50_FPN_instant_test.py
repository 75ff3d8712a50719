"""RetinaNet, ResNet-50-FPN: forty steps on generated images."""

from typing import Any

from ..common.data.shapes import dataloader
from ..common.models.retinanet import model
from ..common.optim import SGD as optimizer
from ..common.quick import on_shapes
from ..common.train import train

model.num_classes = 4
dataloader.train.mapper.use_instance_mask = False
lr_multiplier: Any = on_shapes(
    model, dataloader, optimizer, train, max_iter=40, lr=0.005, name="retinanet_R_50_FPN_instant_test"
)
