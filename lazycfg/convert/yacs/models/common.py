"""What all models have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lazycfg import LazyCall as L
from lazycfg.convert.yacs.keys import Keys
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import Box2BoxTransform, Matcher, ROIPooler

__all__ = ["Shapes", "box_codec", "choose", "images", "matcher", "pooler", "shapes_of", "strided"]

Shapes = Mapping[str, ShapeSpec]
"""By the names of feature maps, their channels and strides."""


def choose(keys: Keys, key: str, table: Mapping[str, Any]) -> Any:
    """Return what a table has for the name that is the value of a key.

    Raises:
        ConvertError: the table has not the name.
    """
    name = keys(key)
    if name not in table:
        raise keys.unknown_name(key, table)
    return table[name]


def images(keys: Keys) -> dict[str, Any]:
    """Return the arguments of a model that tell what its images are like."""
    return {
        "pixel_mean": keys("MODEL.PIXEL_MEAN"),
        "pixel_std": keys("MODEL.PIXEL_STD"),
        "input_format": keys("INPUT.FORMAT"),
    }


def shapes_of(keys: Keys, key: str, shapes: Shapes) -> list[ShapeSpec]:
    """Return the shapes of the feature maps that a key names.

    Raises:
        ConvertError: the backbone has not one of them.
    """
    names = keys(key)
    for name in names:
        if name not in shapes:
            raise keys.mistake(key, f"the backbone gives {', '.join(shapes)}, not {name!r}")
    if not names:
        raise keys.mistake(key, "names no feature map")
    return [shapes[name] for name in names]


def channels_of(keys: Keys, key: str, shapes: Shapes) -> int:
    """Return the number of channels that the feature maps of a key have in common."""
    found = {shape.channels for shape in shapes_of(keys, key, shapes)}
    if len(found) != 1:
        raise keys.mistake(key, f"the feature maps have different numbers of channels, {sorted(found)}")
    (channels,) = found
    return int(channels or 0)


def strided(keys: Keys, key: str, shapes: Shapes) -> dict[str, ShapeSpec]:
    """Return the feature maps that a key names, with their channels and strides."""
    found = shapes_of(keys, key, shapes)
    return {
        name: ShapeSpec(channels=shape.channels, stride=shape.stride)
        for name, shape in zip(keys(key), found, strict=True)
    }


def matcher(keys: Keys, section: str, *, low_quality: bool) -> Any:
    """Return the matcher of a section with thresholds and labels."""
    return L(Matcher)(
        thresholds=keys(f"{section}.IOU_THRESHOLDS"),
        labels=keys(f"{section}.IOU_LABELS"),
        allow_low_quality_matches=low_quality,
    )


def box_codec(weights: Sequence[float]) -> Any:
    """Return the codec of upright boxes."""
    return L(Box2BoxTransform)(weights=weights)


def pooler(keys: Keys, section: str, features: Sequence[ShapeSpec]) -> Any:
    """Return the pooler of regions that the keys ``POOLER_...`` of a section describe."""
    return L(ROIPooler)(
        output_size=keys(f"{section}.POOLER_RESOLUTION"),
        scales=tuple(1.0 / (shape.stride or 1) for shape in features),
        sampling_ratio=keys(f"{section}.POOLER_SAMPLING_RATIO"),
        pooler_type=keys(f"{section}.POOLER_TYPE"),
    )
