"""Augmentations of the images, as detectron2 and its projects make them of the keys `INPUT`."""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.convert.yacs.keys import Keys
from lazycfg.data import transforms as T
from lazycfg.projects.point_rend import ColorAugSSDTransform

__all__ = ["test_augmentations", "train_augmentations"]

# Heads of projects whose trainings crop after the resize, and know how much of a crop one class may fill
_PROJECT_HEADS = ("DeepLabV3Head", "DeepLabV3PlusHead", "PointRendSemSegHead")


def train_augmentations(keys: Keys) -> list[Any]:
    """Return the augmentations for training."""
    resize = L(T.ResizeShortestEdge)(
        short_edge_length=_sizes(keys),
        sample_style=keys("INPUT.MIN_SIZE_TRAIN_SAMPLING"),
        max_size=keys("INPUT.MAX_SIZE_TRAIN"),
    )
    flip = _flip(keys)
    crop = _crop(keys) if keys("INPUT.CROP.ENABLED") else []
    if keys("MODEL.META_ARCHITECTURE") == "PanopticDeepLab":
        return [resize, *crop, *flip]
    if (
        keys("MODEL.META_ARCHITECTURE") == "SemanticSegmentor"
        and keys("MODEL.SEM_SEG_HEAD.NAME") in _PROJECT_HEADS
    ):
        colors = []
        if keys("INPUT.COLOR_AUG_SSD"):
            colors = [L(ColorAugSSDTransform)(img_format=ref("...image_format"))]
        return [resize, *(_crop(keys, limited=True) if crop else []), *colors, *flip]
    rotation = []
    if keys.part("MODEL.ROI_HEADS.NAME") == "DensePoseROIHeads" and any(keys("INPUT.ROTATION_ANGLES")):
        angles = keys("INPUT.ROTATION_ANGLES")
        rotation = [L(T.RandomRotation)(angle=angles, expand=False, sample_style="choice")]
    return [*crop, resize, *flip, *rotation]


def test_augmentations(keys: Keys) -> list[Any]:
    """Return the augmentations for testing."""
    if not keys("INPUT.MIN_SIZE_TEST"):
        return []
    return [
        L(T.ResizeShortestEdge)(
            short_edge_length=keys("INPUT.MIN_SIZE_TEST"), max_size=keys("INPUT.MAX_SIZE_TEST")
        )
    ]


def _sizes(keys: Keys) -> Any:
    sizes, style = keys("INPUT.MIN_SIZE_TRAIN"), keys("INPUT.MIN_SIZE_TRAIN_SAMPLING")
    if style not in ("choice", "range"):
        raise keys.mistake("INPUT.MIN_SIZE_TRAIN_SAMPLING", f"is {style!r}, but 'choice' or 'range'")
    if not sizes or (style == "range" and len(sizes) != 2):
        wanted = "two sizes, the smallest and the largest" if style == "range" else "a size"
        raise keys.mistake("INPUT.MIN_SIZE_TRAIN", f"is {sizes!r}, but should have {wanted}")
    return sizes


def _flip(keys: Keys) -> list[Any]:
    kind = keys("INPUT.RANDOM_FLIP")
    if kind == "none":
        return []
    if kind not in ("horizontal", "vertical"):
        raise keys.mistake("INPUT.RANDOM_FLIP", f"is {kind!r}, but 'none', 'horizontal' or 'vertical'")
    return [L(T.RandomFlip)(horizontal=kind == "horizontal", vertical=kind == "vertical")]


def _crop(keys: Keys, *, limited: bool = False) -> list[Any]:
    given = {"crop_type": keys("INPUT.CROP.TYPE"), "crop_size": tuple(keys("INPUT.CROP.SIZE"))}
    if not limited:
        return [L(T.RandomCrop)(**given)]
    return [
        L(T.RandomCrop_CategoryAreaConstraint)(
            **given,
            single_category_max_area=keys("INPUT.CROP.SINGLE_CATEGORY_MAX_AREA"),
            ignored_category=keys("MODEL.SEM_SEG_HEAD.IGNORE_VALUE"),
        )
    ]
