"""`boxes_small.py` on a ConvNeXt-Tiny with torchvision's weights."""

from ..common.models.trunks import base
from .boxes_small import data, dataloader, image, lr_multiplier, model, optimizer, train

base(model, train)
