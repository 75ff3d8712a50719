"""`Metadata`: names, colours and conventions of a dataset, which it carries itself instead of a global
catalog.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Metadata:
    """Class names, colors and conventions of a dataset, which carries them as `metadata`.

    Attributes:
        name: for logs and reports.
        thing_classes: names of the classes, by contiguous class id.
        thing_colors: RGB 0..255, one per class; empty: choose.
        thing_dataset_id_to_contiguous_id: the ids written in the annotation file -> 0, 1, 2...
        keypoint_names: names of the keypoints, in order.
        keypoint_flip_map: pairs of names that swap when the image is mirrored ("left_eye", "right_eye").
        keypoint_connection_rules: (name, name, RGB): lines to draw.
        keypoint_oks_sigmas: one per keypoint, the evaluation's tolerance; empty: the evaluator's own.
        stuff_classes, stuff_colors, stuff_dataset_id_to_contiguous_id: the same for "stuff" of semantic and
            panoptic segmentation.
        ignore_label: value in label maps that is not evaluated.
        label_divisor: a panoptic label is the class times this plus the number of the instance.
        json_file, image_root: where it was read from, if from files.
        extra: anything else.
    """

    name: str = ""
    thing_classes: tuple[str, ...] = ()
    thing_colors: tuple[tuple[int, int, int], ...] = ()
    thing_dataset_id_to_contiguous_id: Mapping[int, int] = field(default_factory=dict)
    keypoint_names: tuple[str, ...] = ()
    keypoint_flip_map: tuple[tuple[str, str], ...] = ()
    keypoint_connection_rules: tuple[tuple[str, str, tuple[int, int, int]], ...] = ()
    keypoint_oks_sigmas: tuple[float, ...] = ()
    stuff_classes: tuple[str, ...] = ()
    stuff_colors: tuple[tuple[int, int, int], ...] = ()
    stuff_dataset_id_to_contiguous_id: Mapping[int, int] = field(default_factory=dict)
    ignore_label: int = 255
    label_divisor: int = 1000
    json_file: str | None = None
    image_root: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (
            "thing_classes",
            "thing_colors",
            "keypoint_names",
            "keypoint_flip_map",
            "keypoint_connection_rules",
            "keypoint_oks_sigmas",
            "stuff_classes",
            "stuff_colors",
        ):
            object.__setattr__(self, name, _tuples(getattr(self, name)))
        for name, of in (("thing_colors", "thing_classes"), ("keypoint_oks_sigmas", "keypoint_names")):
            given, expected = len(getattr(self, name)), len(getattr(self, of))
            if given and given != expected:
                raise ValueError(f"Metadata {self.name!r}: {given} {name} for {expected} {of}")

    def replace(self, **changes: Any) -> Metadata:
        """Return a copy with some fields changed."""
        return replace(self, **changes)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value
