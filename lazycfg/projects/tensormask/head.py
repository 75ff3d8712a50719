"""The head of TensorMask."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import ShapeSpec
from lazycfg.modeling import DataNeeds

from .swap_align import swap_align2nat_at

__all__ = ["TensorMaskHead"]

Predictions = tuple[list[Tensor], list[Tensor], list[list[Tensor]]]


class TensorMaskHead(nn.Module):
    """Three towers of 3x3 convolutions, for classes, boxes and masks, shared by all levels.

    Args:
        input_shape: of the levels, finest first, all with the same channels.
        num_classes: foreground classes.
        num_convs: convolutions of each tower.
        cls_channels, bbox_channels, mask_channels: of the convolutions of each tower.
        mask_sizes: sides of the masks on the finest level, one for each anchor of a place.
        aligned_on: predict masks in the aligned representation, see `swap_align2nat`.
        bipyramid_on: predict the masks of all levels on maps of the finest one, so that those of level k are
            2 ** k times as fine; needs `aligned_on`.
        prior_prob: probability of an object that the biases start from.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[ShapeSpec],
        num_classes: int,
        num_convs: int = 4,
        cls_channels: int = 256,
        bbox_channels: int = 128,
        mask_channels: int = 128,
        mask_sizes: Sequence[int] = (11, 15),
        aligned_on: bool = False,
        bipyramid_on: bool = False,
        prior_prob: float = 0.01,
    ) -> None:
        super().__init__()
        channels = {shape.channels or 0 for shape in input_shape}
        if len(channels) != 1 or 0 in channels:
            raise ValueError(f"TensorMaskHead: all levels need the same channels, got {list(input_shape)}")
        if bipyramid_on and not aligned_on:
            raise ValueError("TensorMaskHead: bipyramid_on=True needs aligned_on=True")
        if not mask_sizes or len(set(mask_sizes)) != len(mask_sizes):
            raise ValueError(
                f"TensorMaskHead: mask_sizes are different sides, at least one, got {mask_sizes}"
            )
        in_channels = channels.pop()
        self.num_classes = num_classes
        self.mask_sizes = list(mask_sizes)
        self.aligned_on = aligned_on
        self.bipyramid_on = bipyramid_on

        def tower(width: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for before in [in_channels, *[width] * (num_convs - 1)][:num_convs]:
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(inplace=True)]
            return nn.Sequential(*layers)

        cls_width, bbox_width, mask_width = (
            width if num_convs else in_channels for width in (cls_channels, bbox_channels, mask_channels)
        )
        self.cls_subnet = tower(cls_channels)
        self.cls_score = nn.Conv2d(cls_width, len(mask_sizes) * num_classes, 3, padding=1)
        self.bbox_subnet = tower(bbox_channels)
        self.bbox_pred = nn.Conv2d(bbox_width, len(mask_sizes) * 4, 3, padding=1)
        self.mask_subnet = tower(mask_channels)
        for side in mask_sizes:
            self.add_module(f"mask_pred_{side:02d}", nn.Conv2d(mask_width, side * side, 1))
        if bipyramid_on:
            self.mask_fuse = nn.Sequential(
                nn.Conv2d(mask_width, mask_width, 3, padding=1), nn.ReLU(inplace=True)
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
        nn.init.constant_(self.cls_score.bias, -math.log((1 - prior_prob) / prior_prob))

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        return DataNeeds(thing_classes=self.num_classes, masks=True)

    def forward(self, features: Sequence[Tensor]) -> Predictions:
        """Predict classes, boxes and masks on all levels.

        Args:
            features: maps (N, C, H_i, W_i), finest first.

        Returns:
            Per level logits (N, A * num_classes, H_i, W_i), offsets (N, A * 4, H_i, W_i), and for each of the
            anchors of a place a map of its mask's logits (N, side ** 2, H, W), which `masks_at` reads: of the
            level's H and W, with `bipyramid_on` of those of the finest level.
        """
        logits = [self.cls_score(self.cls_subnet(x)) for x in features]
        deltas = [self.bbox_pred(self.bbox_subnet(x)) for x in features]
        hidden = [self.mask_subnet(x) for x in features]
        if self.bipyramid_on:
            hidden = [self.fuse(x, hidden[0], 2**level) for level, x in enumerate(hidden)]
        predictors = [self.get_submodule(f"mask_pred_{side:02d}") for side in self.mask_sizes]
        return logits, deltas, [[predictor(x) for predictor in predictors] for x in hidden]

    def fuse(self, x: Tensor, finest: Tensor, scale: int) -> Tensor:
        """Add a map to that of the finest level, (N, C, H, W), which is `scale` times as large."""
        if scale > 1:
            x = F.interpolate(x, scale_factor=float(scale), mode="bilinear", align_corners=False)
        return self.mask_fuse(x[..., : finest.shape[-2], : finest.shape[-1]] + finest)

    def scale(self, level: int) -> int:
        """Return how many times as fine as on the finest level the masks of a level are."""
        return 2**level if self.bipyramid_on else 1

    def masks_at(self, masks: Tensor, level: int, image: Tensor, row: Tensor, column: Tensor) -> Tensor:
        """Return the masks of the windows at some places.

        Args:
            masks: (N, side ** 2, H, W), of one anchor of this level, as `forward` gives it.
            image, row, column: (F,) int64 the places, on the grid of the level.

        Returns:
            (F, side * scale, side * scale) logits in float32 or better.
        """
        if self.aligned_on:
            return swap_align2nat_at(masks, self.scale(level), image, row, column)
        side = math.isqrt(masks.shape[1])
        return masks.permute(0, 2, 3, 1)[image, row, column].unflatten(1, (side, side)).float()
