"""COCO 2017 with the multi-scale crops that transformers are trained with (as DETR, arXiv:2005.12872)."""

from lazycfg import LazyCall as L
from lazycfg.data import transforms as T

from .coco import dataloader

dataloader.train.mapper.update(
    augmentations=[
        L(T.RandomApply)(
            tfm_or_aug=L(T.AugmentationList)(
                augs=[
                    L(T.ResizeShortestEdge)(short_edge_length=[400, 500, 600], sample_style="choice"),
                    L(T.RandomCrop)(crop_type="absolute_range", crop_size=(384, 600)),
                ]
            ),
            prob=0.5,
        ),
        L(T.ResizeShortestEdge)(
            short_edge_length=(480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800),
            sample_style="choice",
            max_size=1333,
        ),
        L(T.RandomFlip)(horizontal=True),
    ],
    image_format="RGB",
)
dataloader.train.total_batch_size = 64
