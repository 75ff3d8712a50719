"""`load_weights`: from a file of weights into a model, with an account of every tensor."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg.checkpoint.adapters import ADAPTERS, Adapter
from lazycfg.checkpoint.files import Weights, read_weights
from lazycfg.checkpoint.placement import Placement, is_classifier, matching, place, plain_key
from lazycfg.checkpoint.report import LoadReport, Mismatch, WeightsMismatchError
from lazycfg.utils import closest

__all__ = ["load_weights", "unwrap"]

logger = logging.getLogger(__name__)


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside DistributedDataParallel, DataParallel and torch.compile."""
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
    under the model's one ``backbone.bottom_up.``. Then the rest of the model is reported as newly
    initialised, and a classifier in the file as not needed; but the part itself must be complete.

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
        strip: take only the keys of the file that begin so, without it (``"backbone.bottom_up."``).
        adapter: how the file names its tensors: "auto", "none", "torchvision" or "caffe2".

    Returns:
        the report; print it to see its table.

    Raises:
        WeightsMismatchError: something does not fit (with ``strict``), or nothing fits. The model is
            unchanged.
        UnsafeFileError, FileNotFoundError, ValueError: from `read_weights`.
    """
    if isinstance(ignore, str):
        raise TypeError(f"ignore is a list of patterns: write ignore=[{ignore!r}]")
    weights = read_weights(source)
    model = unwrap(model)
    state = model.state_dict()
    actual = {plain_key(key): key for key in state}

    renamed, used, placement = _fit(weights, list(actual), prefix=prefix, strip=strip, adapter=adapter)
    plan = _Plan(model, weights, renamed, placement, actual, state, ignore, used)
    report = plan.report()
    if not report.loaded:
        raise WeightsMismatchError(f"no tensor of {weights.source} fits the model", report)
    if strict and report.problems:
        raise WeightsMismatchError(
            f"the weights in {weights.source} do not fit the model; name what to leave alone with "
            f"ignore={report.suggested_ignore()}, or load what fits with strict=False",
            report,
        )
    plan.apply()
    (logger.warning if report.problems or report.remarks else logger.info)("%s", report)
    return report


def _fit(
    weights: Weights, model_keys: list[str], *, prefix: str, strip: str, adapter: str
) -> tuple[dict[str, str], Adapter, Placement]:
    """Choose names and prefix: of the adapters that recognise the file, the one that places most of its
    keys."""
    if adapter != "auto" and adapter not in ADAPTERS:
        raise ValueError(
            f"adapter={adapter!r}: expected 'auto' or one of {list(ADAPTERS)}" + closest(adapter, ADAPTERS)
        )
    kept = [key for key in weights.state if plain_key(key).startswith(strip)]
    if not kept:
        raise ValueError(f"no key of {weights.source} begins with strip={strip!r}")
    plain = {key: plain_key(key).removeprefix(strip) for key in kept}
    fits = []
    for candidate in ADAPTERS.values():
        if adapter != candidate.name and (adapter != "auto" or not candidate.recognises(plain.values())):
            continue
        renamed = {key: candidate.rename(name) for key, name in plain.items()}
        fits.append((renamed, candidate, place(list(renamed.values()), model_keys, prefix=prefix)))
    best = max(fits, key=lambda fit: len(fit[2].target))
    if rival := best[2].rival:
        raise ValueError(
            f"{weights.source} fits the model equally well under {best[2].prefix!r} and {rival!r}; "
            "say which with prefix="
        )
    return best


class _Plan:
    """Sorts every key of file and model into its place in the report; `apply` then loads."""

    def __init__(
        self,
        model: nn.Module,
        weights: Weights,
        renamed: Mapping[str, str],
        placement: Placement,
        actual: Mapping[str, str],
        state: Mapping[str, Tensor],
        ignore: Sequence[str],
        adapter: Adapter,
    ) -> None:
        self.model, self.weights, self.placement, self.adapter = model, weights, placement, adapter
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

        names = set(renamed.values())
        for file_key, name in renamed.items():
            self._sort_file_key(file_key, name, names)
        for key in actual:
            if key not in self.values:
                self._sort_missing(key)
        self.modules = {
            file_name.rpartition(".")[0]: key.rpartition(".")[0]
            for file_name, key in placement.target.items()
        }

    def _is_ignored(self, *keys: str) -> bool:
        found = [pattern for key in keys for pattern in matching(key, self.ignore)]
        self.used.update(found)
        return bool(found)

    def _sort_file_key(self, file_key: str, name: str, names: set[str]) -> None:
        key = self.placement.target.get(name)
        value = self.weights.state[file_key]
        if key is None:
            if self._is_ignored(file_key, name):
                self.ignored.append(file_key)
            elif self._is_harmless(name, names):
                self.not_needed.append(file_key)
            else:
                self.unexpected.append(file_key)
        elif self._is_ignored(key, file_key):
            self.ignored.append(key)
        elif value.shape != self.state[self.actual[key]].shape:
            self.mismatched.append(
                Mismatch(key, tuple(self.state[self.actual[key]].shape), tuple(value.shape))
            )
        else:
            self.values[key] = value

    def _is_harmless(self, name: str, names: set[str]) -> bool:
        if is_classifier(name) and (self.adapter.name != "none" or self.placement.prefix):
            return True
        if name.endswith(".num_batches_tracked"):
            return name.replace("num_batches_tracked", "running_mean") in names
        # Old detectron2 checkpoints keep these; they follow from the model's arguments.
        return ".cell_anchors." in name or name in ("pixel_mean", "pixel_std")

    def _sort_missing(self, key: str) -> None:
        if key in self.ignored or any(m.key == key for m in self.mismatched):
            return
        owner, _, leaf = key.rpartition(".")
        if self._is_ignored(key):
            self.ignored.append(key)
        elif leaf == "num_batches_tracked" or key in ("pixel_mean", "pixel_std"):
            return
        elif not self.placement.covers(key):
            self.newly_initialized.append(key)
        elif leaf in ("running_mean", "running_var") and self._has_only_affine(owner):
            # Files of the Caffe2 kind have the statistics folded into scale and shift: what is left is x * s
            # + b, exactly, so the variance leaves room for the epsilon that the layer will add.
            eps = getattr(self.model.get_submodule(self.actual[key].rpartition(".")[0]), "eps", 0.0)
            self.folded[key] = 0.0 if leaf == "running_mean" else 1.0 - eps
        else:
            self.missing.append(key)

    def _has_only_affine(self, owner: str) -> bool:
        has = {
            leaf: f"{owner}.{leaf}" in self.values
            for leaf in ("weight", "bias", "running_mean", "running_var")
        }
        return has["weight"] and has["bias"] and not (has["running_mean"] or has["running_var"])

    def report(self) -> LoadReport:
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
            remarks=tuple(self.adapter.remarks(self.model, self.modules)),
        )

    def apply(self) -> None:
        values = dict(self.values)
        for key, value in self.folded.items():
            values[key] = torch.full(self.state[self.actual[key]].shape, value)
        fitted = {
            self.actual[key]: _like(value, self.state[self.actual[key]]) for key, value in values.items()
        }
        assign = any(self.state[key].is_meta for key in fitted)
        self.model.load_state_dict(fitted, strict=False, assign=assign)


def _like(value: Tensor, target: Tensor) -> Tensor:
    """A tensor that `load_state_dict` can copy into, or put in the place of, the target."""
    if hasattr(target, "device_mesh"):  # a shard of FSDP2 takes its piece of the whole
        from torch.distributed.tensor import DTensor, distribute_tensor

        assert isinstance(target, DTensor)
        return distribute_tensor(value.to(target.device, target.dtype), target.device_mesh, target.placements)
    return value.to(target.dtype) if target.is_meta else value
