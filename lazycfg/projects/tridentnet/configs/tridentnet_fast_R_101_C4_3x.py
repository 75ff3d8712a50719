"""TridentNet Fast, ResNet-101-C4, 3x schedule (the reference published box AP 43.6)."""

from .tridentnet_fast_R_50_C4_3x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
