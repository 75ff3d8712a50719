"""COCO 2017 with large-scale jitter (arXiv:2012.07177): from 0.1 to 2 times 1024 pixels, cropped to 1024."""

from lazycfg import LazyCall as L
from lazycfg.data import transforms as T

from .coco import dataloader

dataloader.train.mapper.update(
    augmentations=[
        L(T.RandomFlip)(horizontal=True),
        L(T.ResizeScale)(min_scale=0.1, max_scale=2.0, target_height=1024, target_width=1024),
        L(T.FixedSizeCrop)(crop_size=(1024, 1024), pad=False),
    ],
    image_format="RGB",
    recompute_boxes=True,
)
dataloader.train.total_batch_size = 64
dataloader.test.mapper.update(
    augmentations=[L(T.ResizeShortestEdge)(short_edge_length=1024, max_size=1024)],
)
