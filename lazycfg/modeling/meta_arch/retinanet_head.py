"""The dense heads of RetinaNet (arXiv:1708.02002) and FCOS (arXiv:1904.01355)."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from lazycfg.layers import CycleBatchNormList, ShapeSpec, get_norm
from lazycfg.layers.batch_norm import Norm

from ..data_needs import DataNeeds

__all__ = ["FCOSHead", "RetinaNetHead"]


class RetinaNetHead(nn.Module):
    """Two towers of 3x3 convolutions, one for classes and one for boxes, shared by all levels.

    Args:
        input_shape: of the levels, all with the same channels.
        num_classes: foreground classes.
        num_anchors: anchors per pixel, the same on all levels.
        conv_dims: channels of each convolution of a tower.
        norm: after each of them (see `get_norm`). "BN" and "SyncBN" have statistics of each level.
        prior_prob: probability of an object that the biases start from.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[ShapeSpec],
        num_classes: int,
        num_anchors: int,
        conv_dims: Sequence[int],
        norm: Norm = "",
        prior_prob: float = 0.01,
    ) -> None:
        super().__init__()
        channels = {shape.channels for shape in input_shape}
        if len(channels) != 1:
            raise ValueError(f"RetinaNetHead: all levels need the same channels, got {input_shape}")
        in_channels = channels.pop()
        per_level = norm in ("BN", "SyncBN")
        self._num_features = len(input_shape)
        self.num_classes = num_classes

        def norm_layer(width: int) -> nn.Module | None:
            if not per_level:
                return get_norm(norm, width)
            kind = nn.BatchNorm2d if norm == "BN" else nn.SyncBatchNorm
            return CycleBatchNormList(len(input_shape), bn_class=kind, num_features=width)

        def tower() -> nn.Sequential:
            layers: list[nn.Module] = []
            for before, after in zip([in_channels, *conv_dims[:-1]], conv_dims, strict=True):
                layers.append(nn.Conv2d(before, after, 3, padding=1))
                if norm:
                    layers.append(norm_layer(after))
                layers.append(nn.ReLU(inplace=True))
            return nn.Sequential(*layers)

        self.cls_subnet = tower()
        self.bbox_subnet = tower()
        self.cls_score = nn.Conv2d(conv_dims[-1], num_anchors * num_classes, 3, padding=1)
        self.bbox_pred = nn.Conv2d(conv_dims[-1], num_anchors * 4, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
        nn.init.constant_(self.cls_score.bias, -math.log((1 - prior_prob) / prior_prob))

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        return DataNeeds(thing_classes=self.num_classes)

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
        """Maps (N, C, H, W) -> per level logits (N, A * num_classes, H, W), offsets (N, A * 4, H, W)."""
        logits = [self.cls_score(self.cls_subnet(x)) for x in features]
        return logits, *self.regress([self.bbox_subnet(x) for x in features])

    def regress(self, towers: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
        """Return what is predicted from the tower of boxes, per level (N, C, H, W) -> (N, A * 4, H, W); one
        list over the levels for each kind.
        """
        return ([self.bbox_pred(x) for x in towers],)


class FCOSHead(RetinaNetHead):
    """RetinaNet's head with one prediction per pixel, and its centerness besides.

    The arguments are those of `RetinaNetHead` without `num_anchors`. There is no learned scale per level: the
    distances are predicted in units of the stride.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[ShapeSpec],
        num_classes: int,
        conv_dims: Sequence[int],
        norm: Norm = "",
        prior_prob: float = 0.01,
    ) -> None:
        super().__init__(
            input_shape=input_shape,
            num_classes=num_classes,
            num_anchors=1,
            conv_dims=conv_dims,
            norm=norm,
            prior_prob=prior_prob,
        )
        self.ctrness = nn.Conv2d(conv_dims[-1], 1, 3, padding=1)
        nn.init.normal_(self.ctrness.weight, std=0.01)
        nn.init.zeros_(self.ctrness.bias)

    def regress(self, towers: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
        """Return the offsets, and the logits of centerness (N, 1, H, W)."""
        return *super().regress(towers), [self.ctrness(x) for x in towers]
