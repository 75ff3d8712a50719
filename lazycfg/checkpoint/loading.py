"""`load_weights`: from a file of weights into a model, with an account of every tensor."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg.checkpoint.adapters import ADAPTERS, Adapter
from lazycfg.checkpoint.errors import CheckpointError
from lazycfg.checkpoint.files import Weights, read_weights
from lazycfg.checkpoint.placement import (
    Placement,
    foreign_prefixes,
    is_classifier,
    matching,
    place,
    plain_key,
)
from lazycfg.checkpoint.report import Change, LoadReport, Mismatch, WeightsMismatchError
from lazycfg.checkpoint.rules import Origin
from lazycfg.checkpoint.trunk_names import resized_positions
from lazycfg.config.tree.repr import printable
from lazycfg.utils import closest

__all__ = ["load_weights", "unwrap"]

logger = logging.getLogger(__name__)


def unwrap(model: nn.Module) -> nn.Module:
    """Return the model inside DistributedDataParallel, DataParallel and torch.compile."""
    while True:
        if isinstance(model, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def load_weights(
    model: nn.Module,
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    strict: bool = True,
    ignore: Sequence[str] = (),
    prefix: str = "auto",
    strip: str = "",
    adapter: str = "auto",
) -> LoadReport:
    """Load weights into a model: its own, detectron2's, or an ImageNet backbone's.

    Read are ``.safetensors``, ``torch.save`` files of tensors, and pickles of numpy arrays (detectron2's
    model zoo, the MSRA backbones with Caffe2 names); see `read_weights`. No file is ever executed. Values are
    cast to the dtype of the parameter that receives them, so half precision files are fine.

    A file about a part of the model is recognised by its keys: those of an ImageNet ResNet
    (``stem.conv1.weight``, torchvision's ``layer1.0.conv1.weight``, Caffe2's ``res2_0_branch2a_w``) are found
    under the model's one ``backbone.bottom_up.``; so are the parts of Detectron's models (``fc6_w``,
    ``conv_rpn_fpn2_w``). Then the rest of the model is reported as newly initialised, and a classifier in the
    file as not needed; but the part itself must be complete. What stands before all keys of a file
    (``my.prefix.backbone...``) is found and reported; where two beginnings fit as well (``student.``,
    ``teacher.``), ``strip`` has to say which.

    Weights carry a way of preparing images with them. Torchvision's expect RGB,
    ``pixel_mean=[123.675, 116.28, 103.53]``, ``pixel_std=[58.395, 57.12, 57.375]`` and a ResNet with
    ``stride_in_1x1=False``; the MSRA and Caffe2 ones expect BGR, ``pixel_mean=[103.53, 116.28, 123.675]``,
    ``pixel_std=[1, 1, 1]`` and ``stride_in_1x1=True``. What can be seen not to suit is remarked on in the
    report.

    Args:
        model: may be wrapped in DDP or torch.compile, and be on any device (parameters on the meta device are
            replaced by those of the file).
        source: a path, or a state dict.
        strict: raise when anything is missing, unexpected, or of another shape. Otherwise load what fits.
        ignore: glob patterns (``"roi_heads.box_predictor.*"``) of keys, the model's or the file's, to leave
            alone.
        prefix: what to put before the keys of the file; "auto" finds it, "" takes them as they are.
        strip: take only the keys of the file that begin so, without it (``"backbone.bottom_up."``). Left out,
            a beginning is taken off that all keys which fit have.
        adapter: how the file names its tensors: "auto" finds it by the keys; "none"; "torchvision" (ResNets),
            "torchvision-rcnn" and the others of its detectors, "caffe2", "old-pointrend", "vit" (timm, MAE,
            DINOv2), "swin", "timm-swin" or "mvit".

    Returns:
        the report; print it to see its table.

    Raises:
        WeightsMismatchError: something does not fit (with ``strict``), nothing fits, or the file has
            different values for what is one tensor of the model. The model is unchanged.
        CheckpointError: several ways to load the file are as good; and, as UnsafeFileError and
            FileNotFoundError, from `read_weights`.
    """
    if isinstance(ignore, str):
        raise TypeError(f"ignore is a list of patterns: write ignore=[{ignore!r}]")
    weights = read_weights(source)
    model = unwrap(model)
    state = model.state_dict()
    actual = {plain_key(key): key for key in state}

    fit = _fit(weights, list(actual), prefix=prefix, strip=strip, adapter=adapter)
    plan = _Plan(model, weights, fit, actual, state, ignore)
    report = plan.report()
    if not report.loaded:
        raise WeightsMismatchError(f"no tensor of {weights.source} fits the model", report)
    if strict and report.problems:
        raise WeightsMismatchError(
            f"the weights in {weights.source} do not fit the model",
            report,
            f"; name what to leave alone with ignore={report.suggested_ignore()}, or load what fits with "
            "strict=False",
        )
    if told := plan.clashes():
        raise WeightsMismatchError(told, report)
    plan.apply()
    (logger.warning if report.problems or report.remarks else logger.info)("%s", report)
    return report


@dataclass(frozen=True)
class _Fit:
    """One way to find the keys of a file in a model."""

    origin: Origin
    """The file's tensors by their names without prefix."""
    renamed: Mapping[str, str]
    """From a key of the file to its name without prefix, in our spelling."""
    supplied: Mapping[str, tuple[Tensor, str]]
    """What follows from the file without being in it, by name; and why."""
    outside: Sequence[str]
    """Keys of the file that do not begin as the others."""
    strip: str
    adapter: Adapter
    placement: Placement


def _fit(weights: Weights, model_keys: list[str], *, prefix: str, strip: str, adapter: str) -> _Fit:
    """Choose names and prefixes: of the ways that are open, the one that places most keys."""
    if adapter != "auto" and adapter not in ADAPTERS:
        raise ValueError(
            f"adapter={adapter!r}: expected 'auto' or one of {list(ADAPTERS)}" + closest(adapter, ADAPTERS)
        )
    plain = {key: plain_key(key) for key in weights.state}
    if not any(name.startswith(strip) for name in plain.values()):
        raise CheckpointError(f"no key of {weights.source} begins with strip={strip!r}")
    beginnings = [strip] if strip else ["", *foreign_prefixes(list(plain.values()), model_keys)]
    fits = []
    for beginning in beginnings:
        names = {k: name.removeprefix(beginning) for k, name in plain.items() if name.startswith(beginning)}
        outside = [] if strip else [key for key in plain if key not in names]
        for candidate in ADAPTERS.values():
            if adapter != candidate.name and (adapter != "auto" or not candidate.recognises(names.values())):
                continue
            origin = Origin({name: weights.state[key] for key, name in names.items()}, weights.source)
            renamed = {key: candidate.rename(name) for key, name in names.items()}
            supplied = candidate.supply(origin)
            placement = place([*renamed.values(), *supplied], model_keys, prefix=prefix)
            fits.append(_Fit(origin, renamed, supplied, outside, beginning, candidate, placement))
    # Names that are the same in both say most when it is known whose they are.
    best = max(fits, key=lambda fit: (len(fit.placement.target), fit.adapter.name != "none"))
    if rival := best.placement.rival:
        raise CheckpointError(
            f"{weights.source} fits the model equally well under {best.placement.prefix!r} and {rival!r}; "
            "say which with prefix="
        )
    placed = len(best.placement.target)
    others = {fit.strip for fit in fits if len(fit.placement.target) == placed} - {best.strip}
    if best.strip and others and placed:
        listed = " and ".join(map(repr, sorted({best.strip, *others})))
        raise CheckpointError(
            printable(
                f"the keys of {weights.source} fit the model equally well without {listed}; say which with "
                "strip="
            )
        )
    return best


class _Plan:
    """Sorts every key of file and model into its place in the report; `apply` then loads."""

    def __init__(
        self,
        model: nn.Module,
        weights: Weights,
        fit: _Fit,
        actual: Mapping[str, str],
        state: Mapping[str, Tensor],
        ignore: Sequence[str],
    ) -> None:
        self.model, self.weights, self.strip = model, weights, fit.strip
        self.placement, self.adapter, self.origin = fit.placement, fit.adapter, fit.origin
        self.actual, self.state, self.ignore = actual, state, ignore
        self.values: dict[str, Tensor] = {}
        self.mismatched: list[Mismatch] = []
        self.ignored: list[str] = []
        self.unexpected: list[str] = []
        self.not_needed: list[str] = []
        self.missing: list[str] = []
        self.newly_initialized: list[str] = []
        self.folded: dict[str, float] = {}
        self.used: set[str] = set()
        self.changes: list[Change] = []
        self.reasons: list[str] = []

        if why := self.adapter.refused(fit.origin):
            raise CheckpointError(f"{weights.source} cannot be loaded as {self.adapter.name} weights: {why}")
        self.names = set(fit.renamed.values())
        for file_key, name in fit.renamed.items():
            self._sort_file_key(file_key, name)
        for name, (value, why) in fit.supplied.items():
            key = self.placement.target.get(name)
            if key is not None and not self._is_ignored(key) and value.shape == self.state[actual[key]].shape:
                self.values[key] = value
                self.changes.append(Change("made", key, why))
        for file_key in fit.outside:
            (self.ignored if self._is_ignored(file_key) else self.unexpected).append(file_key)
        self.shared = _shared(model, {key: plain for plain, key in actual.items()})
        for key in actual:
            if key not in self.values and not any(other in self.values for other in self.shared.get(key, ())):
                self._sort_missing(key)
        self.modules = {
            file_name.rpartition(".")[0]: key.rpartition(".")[0]
            for file_name, key in fit.placement.target.items()
        }

    def _is_ignored(self, *keys: str) -> bool:
        found = [pattern for key in keys for pattern in matching(key, self.ignore)]
        self.used.update(found)
        return bool(found)

    def _sort_file_key(self, file_key: str, name: str) -> None:
        key = self.placement.target.get(name)
        plain = plain_key(file_key).removeprefix(self.strip)
        if key is None:
            if self._is_ignored(file_key, name):
                self.ignored.append(file_key)
            elif self._is_harmless(name) or self.adapter.is_harmless(plain):
                self.not_needed.append(file_key)
            else:
                self.unexpected.append(file_key)
                if (why := self.adapter.reason(plain)) and why not in self.reasons:
                    self.reasons.append(why)
            return
        if self._is_ignored(key, file_key):
            self.ignored.append(key)
            return
        if self.adapter.is_computed(name):
            self.not_needed.append(file_key)
            return
        value, note = self.adapter.convert(plain, self.origin)
        shape = tuple(self.state[self.actual[key]].shape)
        if note:
            self.changes.append(Change("changed", key, note))
        if value.shape != shape and self.adapter.has_positions:
            resized = resized_positions(name, value, shape)
            if resized is not None:
                value, note = resized
                self.changes.append(Change("resized", key, note))
        if value.shape != shape:
            self.mismatched.append(Mismatch(key, shape, tuple(value.shape)))
        else:
            self.values[key] = value

    def _is_harmless(self, name: str) -> bool:
        of_trunk = self.adapter.classifies and (self.adapter.name != "none" or self.placement.prefix)
        if of_trunk and is_classifier(name):
            return True
        if name.endswith(".num_batches_tracked"):
            return name.replace("num_batches_tracked", "running_mean") in self.names
        # Old detectron2 checkpoints keep these; they follow from the model's arguments.
        return ".cell_anchors." in name or name in ("pixel_mean", "pixel_std")

    def _sort_missing(self, key: str) -> None:
        if key in self.ignored or any(m.key == key for m in self.mismatched):
            return
        owner, _, leaf = key.rpartition(".")
        if self._is_ignored(key):
            self.ignored.append(key)
        elif leaf == "num_batches_tracked" or key in ("pixel_mean", "pixel_std") or self._is_computed(key):
            return
        elif not self.placement.covers(key) or self._is_new(key.removeprefix(self.placement.prefix)):
            self.newly_initialized.append(key)
        elif leaf in ("running_mean", "running_var") and self._has_only_affine(owner):
            # Files of the Caffe2 kind have the statistics folded into scale and shift: what is left is x * s
            # + b, exactly, so the variance leaves room for the epsilon that the layer will add.
            eps = getattr(self.model.get_submodule(self.actual[key].rpartition(".")[0]), "eps", 0.0)
            self.folded[key] = 0.0 if leaf == "running_mean" else 1.0 - eps
        else:
            self.missing.append(key)

    def _is_computed(self, key: str) -> bool:
        return self.adapter.is_computed(key.removeprefix(self.placement.prefix))

    def _is_new(self, name: str) -> bool:
        """Return whether files of this kind do not have such a name, and this one has none either."""
        return any(
            re.fullmatch(pattern, name) and not any(re.fullmatch(pattern, other) for other in self.names)
            for pattern in self.adapter.not_in_file
        )

    def _has_only_affine(self, owner: str) -> bool:
        has = {
            leaf: f"{owner}.{leaf}" in self.values
            for leaf in ("weight", "bias", "running_mean", "running_var")
        }
        return has["weight"] and has["bias"] and not (has["running_mean"] or has["running_var"])

    def clashes(self) -> str:
        """Describe tensors of the model for which the file has several values; empty for none."""
        for key, names in self.shared.items():
            for other in names:
                if other in self.values and key in self.values:
                    a, b = self.values[key], self.values[other]
                    if a is not b and not torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)):
                        return (
                            f"{key} and {other} are one tensor of the model, and {self.weights.source} has "
                            "different values for them. If they are meant to be two modules, the config has "
                            "the same call twice: write [call.copy() for _ in range(n)] instead of "
                            "[call] * n. If they are meant to be one, leave out the other value: "
                            f"ignore=[{other!r}]"
                        )
        return ""

    def report(self) -> LoadReport:
        """Return what was done with each tensor."""
        return LoadReport(
            source=self.weights.source,
            prefix=self.placement.prefix,
            adapter=self.adapter.name,
            loaded=tuple(key for key in self.actual if key in self.values),
            missing=tuple(self.missing),
            unexpected=tuple(self.unexpected),
            mismatched=tuple(self.mismatched),
            newly_initialized=tuple(self.newly_initialized),
            not_needed=tuple(self.not_needed),
            folded=tuple(self.folded),
            ignored=tuple(self.ignored),
            unused_ignore=tuple(pattern for pattern in self.ignore if pattern not in self.used),
            remarks=(
                *self.reasons,
                *self.adapter.remarks(self.model, self.modules),
                *_not_finite(self.model, self.values),
            ),
            strip=self.strip,
            changes=tuple(self.changes),
        )

    def apply(self) -> None:
        """Copy the tensors into the model."""
        values = dict(self.values)
        for key, value in self.folded.items():
            values[key] = torch.full(self.state[self.actual[key]].shape, value)
        for key, names in self.shared.items():
            if key not in values and (given := next((name for name in names if name in values), None)):
                values[key] = values[given]
        fitted = {
            self.actual[key]: _like(value, self.state[self.actual[key]]) for key, value in values.items()
        }
        assign = any(self.state[key].is_meta for key in fitted)
        self.model.load_state_dict(fitted, strict=False, assign=assign)
        if assign:
            self._tie_again()

    def _tie_again(self) -> None:
        """Let one tensor stand again where one stood before: each name was given a tensor of its own."""
        for key, names in self.shared.items():
            if key > min(names):
                owner, _, leaf = self.actual[key].rpartition(".")
                first, _, first_leaf = self.actual[min(names)].rpartition(".")
                tensor = getattr(self.model.get_submodule(first), first_leaf)
                setattr(self.model.get_submodule(owner), leaf, tensor)


def _shared(model: nn.Module, plain: Mapping[str, str]) -> dict[str, list[str]]:
    """For each key of the model whose tensor has other names too, these names."""
    names: dict[int, list[str]] = {}
    for name, tensor in (
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ):
        if name in plain:
            names.setdefault(id(tensor), []).append(plain[name])
    return {
        key: [other for other in group if other != key]
        for group in names.values()
        if len(group) > 1
        for key in group
    }


def _like(value: Tensor, target: Tensor) -> Tensor:
    """Return a tensor that `load_state_dict` can copy into the target, or put in its place."""
    if hasattr(target, "device_mesh"):  # a shard of FSDP2 takes its piece of the whole
        from torch.distributed.tensor import DTensor, distribute_tensor

        assert isinstance(target, DTensor)
        return distribute_tensor(value.to(target.device, target.dtype), target.device_mesh, target.placements)
    return value.to(target.dtype) if target.is_meta else value


_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def _not_finite(model: nn.Module, values: Mapping[str, Tensor]) -> list[str]:
    """Return a remark on parameters that get NaN or infinity, as of a training that diverged."""
    own = {plain_key(name) for name, _ in model.named_parameters()}
    bad = [
        name
        for name, value in values.items()
        if name in own and value.dtype in _FLOATS and not bool(torch.isfinite(value).all())
    ]
    if not bad:
        return []
    shown = ", ".join(bad[:3]) + (", ..." if len(bad) > 3 else "")
    count = "1 parameter holds" if len(bad) == 1 else f"{len(bad)} parameters hold"
    return [f"{count} NaN or infinity, so results are of no use: {shown}"]
