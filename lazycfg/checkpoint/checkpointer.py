"""Checkpoints of a training run: the weights, and all else that must come back for the run to go on as if it
had never stopped."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lazycfg.checkpoint.files import load_tensors
from lazycfg.checkpoint.loading import load_weights, unwrap
from lazycfg.checkpoint.placement import plain_key
from lazycfg.checkpoint.report import LoadReport
from lazycfg.checkpoint.trainer_state import RandomState, plain
from lazycfg.utils import (
    all_gather,
    atomic_write,
    broadcast_object,
    closest,
    get_rank,
    get_world_size,
    is_main_process,
)

__all__ = ["Checkpointer", "RandomState", "Stateful", "save_weights"]

logger = logging.getLogger(__name__)

_WEIGHTS, _TRAINER, _POINTER = ".safetensors", ".trainer.pt", "last_checkpoint"


@runtime_checkable
class Stateful(Protocol):
    """Anything that can be saved and resumed.

    An object with a true attribute ``per_rank`` has a state of its own in every process (`RandomState`); of
    all others the main process's state is kept and given to all.
    """

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state_dict: Any, /) -> Any: ...


class Checkpointer:
    """Saves and restores a model and whatever else has a state.

    A checkpoint ``name`` is two files in ``save_dir``: ``name.safetensors``, the weights, which any program
    can read without risk; and ``name.trainer.pt``, the rest (tensors and plain values only). Both are written
    whole or not at all, and the file ``last_checkpoint`` names the last one that was completed. Every process
    must call `save` and the loading functions; the main process writes.

    Args:
        model: its weights are saved under the names they have without DDP or torch.compile.
        save_dir: made when first needed.
        max_to_keep: keep so many of the checkpoints whose names end in a number (``model_0004999``), the
            latest; the others (``model_final``, ``model_best``) stay. None keeps all.
        metadata: texts to write into every file of weights, for whoever reads it.
        **stateful: by name, what else to save: ``optimizer=``, ``scheduler=``, ``random=RandomState()``...
    """

    def __init__(
        self,
        model: nn.Module,
        save_dir: str | os.PathLike[str],
        *,
        max_to_keep: int | None = None,
        metadata: Mapping[str, str] | None = None,
        **stateful: Stateful,
    ) -> None:
        if max_to_keep is not None and max_to_keep < 1:
            raise ValueError(f"max_to_keep={max_to_keep}: expected at least 1, or None to keep all")
        for name, value in stateful.items():
            if not isinstance(value, Stateful):
                raise TypeError(f"{name}= is a {type(value).__name__} without state_dict and load_state_dict")
        self.model = model
        self.save_dir = Path(save_dir)
        self.max_to_keep = max_to_keep
        self.metadata = dict(metadata or {})
        self.stateful: dict[str, Stateful] = dict(stateful)
        self.last_report: LoadReport | None = None
        """How the last loaded weights fitted."""

    # -- writing

    def save(self, name: str, **extra: Any) -> Path:
        """Write a checkpoint and make it the last one.

        Args:
            name: without a suffix.
            **extra: plain values to keep with it (``iteration=4999``); `load` returns them.

        Returns:
            the path of its weights.
        """
        by_rank = all_gather({key: plain(v.state_dict(), key) for key, v in self._split(per_rank=True)})
        failure: Exception | None = None
        weights = self.save_dir / f"{name}{_WEIGHTS}"
        # The shards of FSDP are collected by all processes together; otherwise only one needs to look.
        sharded = any(hasattr(parameter, "device_mesh") for parameter in self.model.parameters())
        try:
            if is_main_process() or sharded:
                state = collect_weights(self.model)
                shared = {key: plain(v.state_dict(), key) for key, v in self._split(per_rank=False)}
            if is_main_process():
                content = {"state": shared, "by_rank": by_rank, "extra": plain(extra, "extra")}
                self._write(weights, state, content)
        except Exception as caught:
            failure = caught
        # No process goes on before the checkpoint is there, and none waits for ever when it could not be
        # written.
        message = broadcast_object(f"{type(failure).__name__}: {failure}" if failure else "")
        if failure is not None:
            raise failure
        if message:
            raise RuntimeError(f"the main process could not write the checkpoint {weights}: {message}")
        return weights

    def _write(self, weights: Path, state: Mapping[str, Tensor], content: dict[str, Any]) -> None:
        save_id = secrets.token_hex(8)
        with atomic_write(self._trainer_file(weights)) as partial:
            torch.save({"save_id": save_id, **content}, partial)
        _write_weights(state, weights, metadata={**self.metadata, "save_id": save_id})
        with atomic_write(self.save_dir / _POINTER) as partial:
            partial.write_text(f"{weights.name}\n")
        self._remove_old(weights)

    def _split(self, *, per_rank: bool) -> list[tuple[str, Stateful]]:
        return [
            (name, value)
            for name, value in self.stateful.items()
            if bool(getattr(value, "per_rank", False)) == per_rank
        ]

    def _remove_old(self, newest: Path) -> None:
        if self.max_to_keep is None:
            return
        numbered = [path for path in self.save_dir.glob(f"*{_WEIGHTS}") if re.search(r"\d$", path.stem)]
        numbered = [path for path in numbered if path != newest]
        numbered.sort(key=lambda path: (path.stat().st_mtime_ns, path.name))
        spared = self.max_to_keep - bool(re.search(r"\d$", newest.stem))
        for path in numbered[: len(numbered) - spared]:
            path.unlink(missing_ok=True)
            self._trainer_file(path).unlink(missing_ok=True)

    # -- reading

    def has_checkpoint(self) -> bool:
        """Whether `save_dir` has a completed checkpoint."""
        return (self.save_dir / _POINTER).is_file()

    def get_checkpoint_file(self) -> Path:
        """The weights of the last completed checkpoint in `save_dir`."""
        if not self.has_checkpoint():
            raise FileNotFoundError(f"no checkpoint in {self.save_dir}: it has no file {_POINTER!r}")
        path = self.save_dir / (self.save_dir / _POINTER).read_text().strip()
        if not path.is_file():
            there = sorted(other.name for other in self.save_dir.glob(f"*{_WEIGHTS}"))
            raise FileNotFoundError(
                f"{self.save_dir / _POINTER} names {path.name}, which is gone; there are {there}"
            )
        return path

    def load(
        self, path: str | os.PathLike[str], *, strict: bool = True, ignore: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Load weights, and the rest of the training state if the file is one of our checkpoints.

        Args:
            path: the file of weights, of any kind that `load_weights` reads.
            strict, ignore: as in `load_weights`.

        Returns:
            the extra values given to `save`; empty for weights alone.

        Raises:
            WeightsMismatchError: from `load_weights`.
            ValueError: the two files of the checkpoint are not of the same `save`, or lack a part of the
                state.
        """
        path = Path(path)
        content = self._read_trainer_file(path) if self._trainer_file(path).is_file() else None
        self.last_report = load_weights(self.model, path, strict=strict, ignore=ignore)
        if content is None:
            logger.info(
                "%s has weights only: %s start afresh", path, ", ".join(self.stateful) or "no other states"
            )
            return {}
        for name, value in self._split(per_rank=False):
            value.load_state_dict(content["state"][name])
        by_rank = content["by_rank"]
        per_rank = self._split(per_rank=True)
        if per_rank and len(by_rank) != get_world_size():
            logger.warning(
                "%s was saved by %d processes and is resumed by %d: it goes on, but not as it would have",
                path,
                len(by_rank),
                get_world_size(),
            )
        if get_rank() < len(by_rank):
            for name, value in per_rank:
                value.load_state_dict(by_rank[get_rank()][name])
        return dict(content["extra"])

    def resume_or_load(
        self,
        path: str | os.PathLike[str] | None,
        *,
        resume: bool = True,
        strict: bool = True,
        ignore: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Go on from the last checkpoint of `save_dir` if asked and if there is one, else load initial
        weights.

        Args:
            path: the initial weights (only weights are taken from it, even of a checkpoint); None or ""
                leaves the model as it was initialised.
            resume: whether a checkpoint in `save_dir` comes first.
            strict, ignore: for the initial weights, as in `load_weights`. A resumed checkpoint must fit.

        Returns:
            the extra values of the resumed checkpoint, else an empty dict.
        """
        if resume and self.has_checkpoint():
            checkpoint = self.get_checkpoint_file()
            if not self._trainer_file(checkpoint).is_file():
                raise FileNotFoundError(
                    f"cannot resume from {checkpoint}: {self._trainer_file(checkpoint)} is gone"
                )
            extra = self.load(checkpoint)
            logger.info("resumed from %s", checkpoint)
            return extra
        if resume:
            logger.info("nothing to resume from in %s", self.save_dir)
        if path is None or not os.fspath(path):
            logger.info("no initial weights: the model starts as it was initialised")
            return {}
        self.last_report = load_weights(self.model, path, strict=strict, ignore=ignore)
        return {}

    def _trainer_file(self, weights: Path) -> Path:
        return weights.with_name(weights.name.removesuffix(_WEIGHTS) + _TRAINER)

    def _read_trainer_file(self, weights: Path) -> dict[str, Any]:
        file = self._trainer_file(weights)
        content = load_tensors(file)
        with safe_open(weights, framework="pt") as opened:
            weights_id = (opened.metadata() or {}).get("save_id")
        if weights_id != content["save_id"]:
            raise ValueError(
                f"{weights} and {file.name} were not saved together (a run died while it replaced them); "
                f"resume from another checkpoint by writing its name into {_POINTER}, "
                "or load the weights alone"
            )
        here = content["by_rank"][0] if content["by_rank"] else {}
        saved = {*content["state"], *here}
        if lacking := [name for name in self.stateful if name not in saved]:
            raise ValueError(
                f"{file} has the states {sorted(saved)} and no {', '.join(lacking)}"
                + closest(lacking[0], saved)
            )
        if unclaimed := sorted(saved - set(self.stateful)):
            logger.warning(
                "%s also has the state of %s, which this run does not use", file, ", ".join(unclaimed)
            )
        return content


def save_weights(
    model: nn.Module, path: str | os.PathLike[str], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a model's weights as safetensors, under the names they have without DDP or torch.compile.

    Tensors that the model shares are written once. The file appears whole or not at all.
    """
    _write_weights(collect_weights(model), Path(path), metadata=metadata or {})


def collect_weights(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of a model, without wrappers, as whole tensors (with FSDP, a collective call)."""
    state = {}
    for key, value in unwrap(model).state_dict().items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{key} in the model's state_dict is a {type(value).__name__}; only tensors are saved"
            )
        state[plain_key(key)] = value.full_tensor() if hasattr(value, "full_tensor") else value.detach()
    return state


def _write_weights(state: Mapping[str, Tensor], path: Path, *, metadata: Mapping[str, str]) -> None:
    first: dict[tuple[Any, ...], str] = {}
    tensors: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    for key, value in state.items():
        view = (value.device, value.data_ptr(), value.dtype, tuple(value.shape), value.stride())
        if value.numel() and view in first:
            aliases[key] = first[view]
            continue
        first[view] = key
        # The format knows neither views nor strides.
        whole = value.is_contiguous() and value.untyped_storage().nbytes() == value.nbytes
        tensors[key] = (value if whole else value.clone(memory_format=torch.contiguous_format)).cpu()
    with atomic_write(path) as partial:
        save_file(tensors, partial, metadata={"format": "pt", "aliases": json.dumps(aliases), **metadata})
