"""From the weights of one library to those of another, with a table of what went where."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from lazycfg.checkpoint.adapters import ADAPTERS, Adapter
from lazycfg.checkpoint.checkpointer import save_state
from lazycfg.checkpoint.errors import CheckpointError
from lazycfg.checkpoint.files import read_weights
from lazycfg.checkpoint.placement import plain_key
from lazycfg.checkpoint.report import shown
from lazycfg.checkpoint.rules import Classes, Origin, find_back, find_rule
from lazycfg.utils import closest

__all__ = ["ORIGINS", "Conversion", "Moved", "Target", "convert_weights", "save_converted"]

Target = Literal["lazycfg", "detectron2", "torchvision"]

ORIGINS: dict[str, tuple[str, ...]] = {
    "lazycfg": ("none",),
    "detectron2": ("none", "old-pointrend"),
    "torchvision": tuple(name for name in ADAPTERS if name.startswith("torchvision")),
    "timm": ("vit", "timm-swin", "torchvision"),
    "mae": ("vit",),
    "dinov2": ("vit",),
    "swin": ("swin",),
    "mvit": ("mvit",),
    "caffe2": ("caffe2",),
}
"""For each library that weights come from, the tables of names that it may have."""


@dataclass(frozen=True)
class Moved:
    """Tensors that one rule gave their new names.

    Attributes:
        source, target: patterns of the old and the new names.
        count: of the tensors.
        note: what was done to their values.
    """

    source: str
    target: str
    count: int
    note: str = ""


@dataclass(frozen=True)
class Conversion:
    """The outcome of `convert_weights`. Prints as a table.

    Attributes:
        state: the tensors by their new names.
        source: the file.
        adapter: the table of names that it was read by; target: whose weights they are now.
        moved: what went where.
        not_needed: keys that are known to be of no use.
        left: keys that no rule is about: the conversion is not complete.
    """

    state: Mapping[str, Tensor]
    source: str
    adapter: str
    target: Target
    moved: tuple[Moved, ...]
    not_needed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def __str__(self) -> str:
        naming = "" if self.adapter == "none" else f" ({self.adapter} names)"
        lines = [f"{len(self.state)} tensors of {shown(self.source)}{naming} as {self.target}"]
        for row in self.moved:
            lines.append(f"{row.count:>5}  {shown(row.source)}")
            lines += [f"       -> {shown(row.target)}"] if row.target != row.source else []
            lines += [f"          {line}" for line in textwrap.wrap(row.note, 68)]
        for what, keys in (("not needed", self.not_needed), ("left", self.left)):
            lines += [f"{len(keys):>5}  {what}:", *(f"       {shown(key)}" for key in keys)] if keys else []
        return "\n".join(lines)


def convert_weights(
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    origin: str = "auto",
    target: Target = "lazycfg",
    classes: Classes = "auto",
    strip: str = "",
) -> Conversion:
    """Convert weights to the names, and where they differ the values, of another library.

    Args:
        source: a file, a name or a state dict, as `read_weights` takes it. Nothing in it is run.
        origin: whose weights they are: one of `ORIGINS`, or "auto", which goes by the keys.
        target: "lazycfg" and "detectron2" have the same names; "torchvision" has some of its detectors.
        classes: of a detector with COCO's 91 labels; see `Classes`.
        strip: what stands before the keys.

    Returns:
        the tensors and the table. What no rule is about is in `Conversion.left`, and not among the tensors.

    Raises:
        CheckpointError: it is not known whose weights they are, they may be those of several, or they cannot
            be converted, and why; and what `read_weights` raises.
    """
    weights = read_weights(source)
    plain = {plain_key(key): value for key, value in weights.state.items()}
    if not any(key.startswith(strip) for key in plain):
        raise CheckpointError(f"no key of {weights.source} begins with strip={strip!r}")
    plain = {key.removeprefix(strip): value for key, value in plain.items() if key.startswith(strip)}
    adapter = _adapter_of(plain, origin, weights.source)
    conversion = _to_ours(Origin(plain, weights.source, classes), adapter, target)
    return _to_torchvision(conversion) if target == "torchvision" else conversion


def save_converted(conversion: Conversion, path: str | os.PathLike[str]) -> None:
    """Write converted weights, as whoever reads them expects the file: torchvision's `load_state_dict` takes
    the tensors themselves, detectron2 what is under ``"model"`` of a ``.pth``.

    Raises:
        CheckpointError: a suffix that says no format, or one that detectron2 does not read.
        OSError: the file could not be written, and why.
    """
    path = Path(path)
    if conversion.target == "detectron2" and path.suffix != ".pth":
        raise CheckpointError(f"detectron2 reads .pth files, and {path} is to end in {path.suffix!r}")
    save_state(conversion.state, path, under=None if conversion.target == "torchvision" else "model")


def _adapter_of(keys: Iterable[str], origin: str, source: str) -> Adapter:
    if origin == "auto":
        names = [name for name in ADAPTERS if name != "none"]
    elif origin in ORIGINS:
        names = list(ORIGINS[origin])
    else:
        raise CheckpointError(
            f"origin {origin!r} is not known{closest(origin, ORIGINS)}; it is one of {', '.join(ORIGINS)}"
        )
    found = [name for name in names if ADAPTERS[name].recognises(keys) and name != "none"]
    if len(found) > 1:
        raise CheckpointError(f"{source} may have the names of {' or '.join(found)}: say which with origin")
    if not found and "none" not in names and origin != "auto":
        raise CheckpointError(f"{source} has no weights by names of {origin}")
    return ADAPTERS[found[0] if found else "none"]


def _to_ours(origin: Origin, adapter: Adapter, target: Target) -> Conversion:
    if why := adapter.refused(origin):
        raise CheckpointError(f"{origin.file} cannot be converted from {adapter.name}: {why}")
    state: dict[str, Tensor] = {}
    moved: dict[tuple[str, str, str], int] = {}
    not_needed, left = [], []
    for key in origin.state:
        found = find_rule(adapter.rules, key)
        name = adapter.rename(key)
        if found is None and adapter.name != "none" and name == key:
            (not_needed if adapter.is_harmless(key) else left).append(key)
            continue
        row = (key, name, "") if found is None else (found[1].theirs, found[1].ours, found[1].note)
        if adapter.name == "none":
            row = ("*", "*", "")
        state[name], _ = adapter.convert(key, origin)
        moved[row] = moved.get(row, 0) + 1
    for name, (value, why) in adapter.supply(origin).items():
        state[name] = value
        moved["(not in the file)", name, why] = 1
    rows = tuple(Moved(theirs, ours, count, note) for (theirs, ours, note), count in moved.items())
    return Conversion(state, origin.file, adapter.name, target, rows, tuple(not_needed), tuple(left))


def _to_torchvision(ours: Conversion) -> Conversion:
    candidates = [adapter for adapter in ADAPTERS.values() if adapter.ours(ours.state)]
    if len(candidates) != 1:
        known = ", ".join(name for name in ORIGINS["torchvision"])
        raise CheckpointError(
            f"{ours.source} cannot be torchvision's: its keys are not those of one of {known}"
        )
    adapter, origin = candidates[0], Origin(ours.state, ours.source)
    if why := adapter.refused_back(origin):
        raise CheckpointError(f"{ours.source} cannot be {adapter.name}'s: {why}")
    without = adapter.supply_back(origin)
    state: dict[str, Tensor] = {}
    moved: dict[tuple[str, str, str], int] = {}
    not_needed, left = list(ours.not_needed), list(ours.left)
    for key, value in ours.state.items():
        found = find_back(adapter.rules, key)
        if key in without:
            not_needed.append(key)
        elif found is None:
            left.append(key)
        else:
            name, rule = found
            state[name] = value if rule.to_theirs is None else rule.to_theirs(value, origin)
            moved[rule.ours, rule.theirs, rule.note] = moved.get((rule.ours, rule.theirs, rule.note), 0) + 1
    rows = tuple(Moved(source, target, count, note) for (source, target, note), count in moved.items())
    return Conversion(state, ours.source, adapter.name, "torchvision", rows, tuple(not_needed), tuple(left))
