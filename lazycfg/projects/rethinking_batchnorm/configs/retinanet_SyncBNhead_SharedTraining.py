"""`retinanet_SyncBNhead` with statistics over all levels together, in training, too (table 5, row 1)."""

from lazycfg.projects.rethinking_batchnorm import RetinaNetHead_SharedTrainingBN

from .retinanet_SyncBNhead import dataloader, lr_multiplier, model, optimizer, train

model.head._target_ = RetinaNetHead_SharedTrainingBN
