"""RetinaNet whose levels share the batch normalisations of the head, which are over all processes;
ResNet-50-FPN, 3x schedule (arXiv:2105.07576, table 5).

In training each level is normalised by itself, in evaluation all by the same running statistics: the paper's
example of what goes wrong. `retinanet-eval-domain-specific.py` evaluates with statistics of each level.
"""

from torch import nn

from lazycfg.model_zoo.common.data.coco import dataloader
from lazycfg.model_zoo.common.models.retinanet import model
from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.schedules import lr_multiplier_3x as lr_multiplier
from lazycfg.model_zoo.common.train import train

model.backbone.bottom_up.freeze_at = 2
# The class: the name "SyncBN" would give each level a layer of its own.
model.head.norm = nn.SyncBatchNorm

dataloader.train.mapper.use_instance_mask = False
optimizer.lr = 0.01
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
train.max_iter = 270000
