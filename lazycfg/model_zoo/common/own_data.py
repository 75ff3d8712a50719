"""What the trainings on your own data have in common: sizes of images, optimizer, schedule and length."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.data import transforms as T
from lazycfg.solver import ClipGradNorm

from .optim import AdamW as optimizer
from .schedules import warmup_cosine
from .train import train

# The shorter side of the images in pixels, and a bound for the longer one.
image: Any = dict(size=480, max_size=800)

optimizer.update(lr=2e-4, weight_decay=0.05)
lr_multiplier: Any = warmup_cosine(warmup_length=0.05)
train.update(max_iter=2000, eval_period=500, clip_grad=L(ClipGradNorm)(max_norm=5.0))


def resized(dataloader: Any) -> None:
    """Let both loaders resize to `image`, the training's mirror images too; RGB, four at a time."""
    resize: Any = L(T.ResizeShortestEdge)(short_edge_length=ref("image.size"), max_size=ref("image.max_size"))
    dataloader.train.mapper.augmentations = [resize, L(T.RandomFlip)()]
    dataloader.test.mapper.augmentations = [resize.copy()]
    dataloader.train.mapper.image_format = "RGB"
    dataloader.train.update(total_batch_size=4, num_workers=2)
    dataloader.test.num_workers = 2
