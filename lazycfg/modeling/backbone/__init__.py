"""Networks that turn images into feature maps."""

from .adapters import MMDetBackbone, TimmBackbone, TorchvisionBackbone, TorchvisionTrunk
from .backbone import Backbone
from .fpn import FPN, LastLevelMaxPool, LastLevelP6P7
from .mvit import MViT
from .regnet import AnyNet, RegNet
from .resnet import ResNet
from .resnet_blocks import BasicBlock, BasicStem, BottleneckBlock, DeepLabStem, DeformBottleneckBlock
from .simple_feature_pyramid import SimpleFeaturePyramid
from .swin import SwinTransformer
from .vit import ViT, get_vit_lr_decay_rate

__all__ = [
    "FPN",
    "AnyNet",
    "Backbone",
    "BasicBlock",
    "BasicStem",
    "BottleneckBlock",
    "DeepLabStem",
    "DeformBottleneckBlock",
    "LastLevelMaxPool",
    "LastLevelP6P7",
    "MMDetBackbone",
    "MViT",
    "RegNet",
    "ResNet",
    "SimpleFeaturePyramid",
    "SwinTransformer",
    "TimmBackbone",
    "TorchvisionBackbone",
    "TorchvisionTrunk",
    "ViT",
    "get_vit_lr_decay_rate",
]
