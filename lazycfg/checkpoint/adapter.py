"""What is known of the weights of one library: their names, and how it expects its images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from lazycfg.checkpoint.rules import Origin, Rule, find_rule

__all__ = ["Adapter", "has_keys"]

Supplied = Mapping[str, tuple[Tensor, str]]


@dataclass(frozen=True)
class Adapter:
    """How one library names its parameters, and how it expects its images."""

    name: str
    recognises: Callable[[Iterable[str]], bool]
    rules: Sequence[Rule] = ()
    """From their names to ours; keys that none is about stay as they are."""
    other_names: Callable[[str], str] | None = None
    """In place of rules: from a key of the file to ours, or back as it is."""
    other_values: Callable[[str, Tensor, Origin], Tensor] = lambda key, value, origin: value
    """In place of rules: from a value of the file to ours, by its key."""
    supply: Callable[[Origin], Supplied] = lambda origin: {}
    """What is ours alone and follows from the file: the value by our name, and why."""
    refused: Callable[[Origin], str] = lambda origin: ""
    """Why the file cannot be converted; empty if it can."""
    refused_back: Callable[[Origin], str] = lambda origin: ""
    """Why weights of ours cannot be theirs; empty if they can."""
    supply_back: Callable[[Origin], frozenset[str]] = lambda origin: frozenset()
    """Keys of ours that theirs does without."""
    ours: Callable[[Iterable[str]], bool] = lambda keys: False
    """Whether keys of ours can be theirs."""
    harmless: str = ""
    """A pattern of keys of the file that are known to be of no use, where the model does not have them."""
    computed: str = ""
    """A pattern of our names whose values follow from the model's arguments: they are never loaded."""
    classifies: bool = True
    """Whether it may be a classifier, whose last layer (``head.``, ``fc.``) a model does not need."""
    not_in_file: Sequence[str] = ()
    """Patterns of our names that such a file never has: where it has none, the model's are new."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """From patterns of keys that do not fit to what they mean."""
    has_positions: bool = False
    """Whether tables of positions are interpolated where the sizes differ."""
    normalised_pixels: bool | None = None
    """Whether the images were divided by a standard deviation (None: not known)."""
    stride_in_1x1: bool | None = None

    def rename(self, key: str) -> str:
        """Return our name of a key of the file; the key where none is known."""
        if self.other_names is not None:
            return self.other_names(key)
        found = find_rule(self.rules, key)
        return key if found is None else found[0]

    def convert(self, key: str, origin: Origin) -> tuple[Tensor, str]:
        """Return the value of a key of the file as ours, and a note of what was done to it."""
        value = origin.state[key]
        found = find_rule(self.rules, key)
        if found is None or found[1].to_ours is None:
            return self.other_values(key, value, origin), ""
        return found[1].to_ours(value, origin), found[1].note

    def is_computed(self, name: str) -> bool:
        """Return whether a value of ours follows from the arguments of the model, and is not loaded."""
        return re.fullmatch(self.computed, name) is not None

    def is_harmless(self, key: str) -> bool:
        """Return whether a key of the file is known to be of no use to a model that does not have it."""
        return re.fullmatch(self.harmless, key) is not None

    def reason(self, key: str) -> str:
        """Return what a key that does not fit means; empty if nothing is known of it."""
        return next((why for pattern, why in self.reasons.items() if re.fullmatch(pattern, key)), "")

    def remarks(self, model: nn.Module, modules: Mapping[str, str]) -> list[str]:
        """Return remarks on what in the model does not suit weights of this origin, although every key fits.

        Args:
            model: the model that received the weights.
            modules: names of modules, from ours in the file to that in the model.
        """
        remarks = []
        std = getattr(model, "pixel_std", None)
        if self.normalised_pixels is not None and isinstance(std, Tensor) and not std.is_meta:
            have = [round(value, 3) for value in std.flatten().tolist()]
            if (max(have) > 1.5) != self.normalised_pixels:
                wanted = (
                    "RGB, pixel_mean [123.675, 116.28, 103.53] and pixel_std [58.395, 57.12, 57.375]"
                    if self.normalised_pixels
                    else "BGR, pixel_mean [103.53, 116.28, 123.675] and pixel_std [1, 1, 1]"
                )
                remarks.append(f"{self.name} weights expect {wanted}; the model has pixel_std {have}")
        if self.name == "caffe2" and "box_head.fc1" in modules:
            remarks.append(
                "Detectron's models were trained with poolers of pooler_type='ROIAlign', without the half "
                "pixel of ROIAlignV2"
            )
        if self.name.startswith("torchvision-"):
            remarks += _detector_remarks(model)
        first = modules.get("res3.0.conv1") or modules.get("backbone.bottom_up.res3.0.conv1")
        if self.stride_in_1x1 is not None and first is not None:
            conv = model.get_submodule(first)
            kernel, stride = getattr(conv, "kernel_size", None), getattr(conv, "stride", None)
            if kernel == (1, 1) and (stride != (1, 1)) != self.stride_in_1x1:
                remarks.append(f"{self.name} weights expect a ResNet with stride_in_1x1={self.stride_in_1x1}")
        return remarks


def _detector_remarks(model: nn.Module) -> list[str]:
    """Return what of a model differs from torchvision's detectors, and shifts their boxes."""
    part: Any = model
    remarks = []
    if getattr(model, "input_format", None) == "BGR":
        remarks.append("torchvision's detectors expect RGB; the model has input_format='BGR'")
    anchors = getattr(getattr(part, "proposal_generator", part), "anchor_generator", None)
    if anchors is not None and type(anchors).__name__ != "TorchvisionAnchorGenerator":
        remarks.append(
            "torchvision's detectors have anchors of whole pixels, at strides that depend on the image: "
            f"TorchvisionAnchorGenerator; the model has {type(anchors).__name__}"
        )
    heads = getattr(part, "roi_heads", None)
    for name in ("box_pooler", "mask_pooler", "keypoint_pooler"):
        levels = getattr(getattr(heads, name, None), "level_poolers", ())
        if any((getattr(x, "aligned", False), getattr(x, "sampling_ratio", 2)) != (False, 2) for x in levels):
            remarks.append(
                f"torchvision's detectors expect a {name} with pooler_type='ROIAlign' and sampling_ratio=2"
            )
    return remarks


def has_keys(*names: str, without: Sequence[str] = ()) -> Callable[[Iterable[str]], bool]:
    """Return a test for keys: these are there, and those of `without` are not."""

    def recognises(keys: Iterable[str]) -> bool:
        there = set(keys)
        return there.issuperset(names) and there.isdisjoint(without)

    return recognises
