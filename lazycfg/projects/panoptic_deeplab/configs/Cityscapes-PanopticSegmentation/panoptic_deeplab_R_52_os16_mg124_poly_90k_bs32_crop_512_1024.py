"""Panoptic-DeepLab, ResNet-52, output stride 16, Cityscapes: 90,000 steps of 32 crops of 512x1024."""

from lazycfg.model_zoo.common.data.cityscapes_panoptic import dataloader

from ..common.panoptic_deeplab import model
from ..common.recipe import lr_multiplier, optimizer, train
from ..common.targets import panoptic_mapper

_sizes = (512, 640, 704, 832, 896, 1024, 1152, 1216, 1344, 1408, 1536, 1664, 1728, 1856, 1920, 2048)
dataloader.train.mapper = panoptic_mapper(_sizes, max_size=4096, crop=(512, 1024), sigma=10)
