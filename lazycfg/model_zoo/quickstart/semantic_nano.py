"""`semantic_small.py` on a MobileNetV3-Large with torchvision's weights."""

from ..common.models.trunks import nano
from .semantic_small import data, dataloader, image, lr_multiplier, model, optimizer, train

nano(model, train)
