"""Small networks with weights of torchvision, in the place of a model's backbone: ``small(model, train)``."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.modeling import ResNet, TorchvisionTrunk

from ..data.constants import constants

MAPS = ["res2", "res3", "res4", "res5"]


def nano(model: Any, train: Any) -> None:
    """Put MobileNetV3-Large (arXiv:1905.02244) below the feature pyramid: 3.0 million parameters."""
    _put(model, L(TorchvisionTrunk)(name="mobilenet_v3_large"))
    train.init_checkpoint = "MobileNet_V3_Large_Weights.IMAGENET1K_V2"


def small(model: Any, train: Any) -> None:
    """Put ResNet-18 (arXiv:1512.03385) below the feature pyramid: 11.2 million parameters."""
    stem = model.backbone.bottom_up.stem
    _put(
        model,
        L(ResNet)(
            stem=stem,
            stages=L(ResNet.make_default_stages)(depth=18, norm="FrozenBN"),
            out_features=MAPS,
            freeze_at=2,
        ),
    )
    train.init_checkpoint = "ResNet18_Weights.IMAGENET1K_V1"


def base(model: Any, train: Any) -> None:
    """Put ConvNeXt-Tiny (arXiv:2201.03545) below the feature pyramid: 27.8 million parameters."""
    _put(model, L(TorchvisionTrunk)(name="convnext_tiny"))
    train.init_checkpoint = "ConvNeXt_Tiny_Weights.IMAGENET1K_V1"


def _put(model: Any, trunk: Any) -> None:
    """Put a trunk in, and prepare images as its weights expect."""
    model.backbone.update(bottom_up=trunk, in_features=MAPS)
    model.update(
        pixel_mean=constants["imagenet_rgb256_mean"],
        pixel_std=constants["imagenet_rgb256_std"],
        input_format="RGB",
    )
