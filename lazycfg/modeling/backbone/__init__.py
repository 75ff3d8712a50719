"""Networks that turn images into feature maps."""

from .backbone import Backbone
from .fpn import FPN, LastLevelMaxPool, LastLevelP6P7
from .resnet import ResNet
from .resnet_blocks import BasicBlock, BasicStem, BottleneckBlock

__all__ = [
    "FPN",
    "Backbone",
    "BasicBlock",
    "BasicStem",
    "BottleneckBlock",
    "LastLevelMaxPool",
    "LastLevelP6P7",
    "ResNet",
]
