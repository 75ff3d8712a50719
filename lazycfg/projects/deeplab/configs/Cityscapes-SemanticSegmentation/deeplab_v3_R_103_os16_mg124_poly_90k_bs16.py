"""DeepLab v3, ResNet-103, output stride 16, Cityscapes: 90,000 steps of 16 crops of 512x1024."""

from ..common.deeplab_v3 import model
from ..common.recipe import dataloader, lr_multiplier, optimizer, train
