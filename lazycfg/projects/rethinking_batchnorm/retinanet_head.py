"""RetinaNet's head with one normalisation over all levels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lazycfg.layers import ShapeSpec
from lazycfg.layers.batch_norm import Norm
from lazycfg.modeling import RetinaNetHead

__all__ = ["RetinaNetHead_SharedTrainingBN"]

# Layers that see all levels as one map
TOGETHER = (nn.BatchNorm2d, nn.SyncBatchNorm, nn.ReLU)


class RetinaNetHead_SharedTrainingBN(RetinaNetHead):
    """`RetinaNetHead` whose batch normalisations take their statistics over all levels together.

    In `RetinaNetHead` a layer that is shared by the levels normalises each level by its own statistics in
    training, and all by the same running ones in evaluation. The keys are the same.

    Args:
        norm: a class such as `torch.nn.SyncBatchNorm`, or a name as `get_norm` takes it, but not "BN" or
            "SyncBN", which have statistics of each level. Other kinds of norm see one level at a time.
        The others are those of `RetinaNetHead`.
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
        if norm in ("BN", "SyncBN"):
            layer = "BatchNorm2d" if norm == "BN" else "SyncBatchNorm"
            raise ValueError(
                f"RetinaNetHead_SharedTrainingBN: norm={norm!r} has statistics of each level; for one of all "
                f"levels give the class: model.head.norm=@torch.nn.{layer}"
            )
        super().__init__(
            input_shape=input_shape,
            num_classes=num_classes,
            num_anchors=num_anchors,
            conv_dims=conv_dims,
            norm=norm,
            prior_prob=prior_prob,
        )

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
        """Return what `RetinaNetHead.forward` does of maps (N, C, H, W), the norms in training over all
        levels.
        """
        logits = [self.cls_score(x) for x in run_tower(self.cls_subnet, features)]
        return logits, *self.regress(run_tower(self.bbox_subnet, features))


def run_tower(tower: nn.Sequential, features: Sequence[Tensor]) -> list[Tensor]:
    """Apply a tower to maps (N, C, H_i, W_i), layer by layer."""
    maps = list(features)
    sizes = [x.shape[-2:] for x in maps]
    joined: Tensor | None = None
    for layer in tower:
        if isinstance(layer, TOGETHER):
            joined = layer(join(maps) if joined is None else joined)
        else:
            maps = [layer(x) for x in (maps if joined is None else split(joined, sizes))]
            joined = None
    return maps if joined is None else split(joined, sizes)


def join(maps: Sequence[Tensor]) -> Tensor:
    """Return maps (N, C, H_i, W_i) as one, (N, C, sum of H_i * W_i, 1)."""
    return torch.cat([x.flatten(2) for x in maps], dim=2).unsqueeze(-1)


def split(joined: Tensor, sizes: Sequence[Sequence[int]]) -> list[Tensor]:
    """Return the maps (N, C, H_i, W_i) that were joined."""
    parts = joined.squeeze(-1).split([h * w for h, w in sizes], dim=2)
    return [x.unflatten(2, tuple(size)) for x, size in zip(parts, sizes, strict=True)]
