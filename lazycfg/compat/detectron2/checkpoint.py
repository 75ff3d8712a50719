"""``DetectionCheckpointer``: ``.pth`` files, and weights that need not fit."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from lazycfg.checkpoint import CheckpointError, WeightsMismatchError, load_weights, published_url, unwrap
from lazycfg.checkpoint.files import load_content
from lazycfg.utils import atomic_write, is_main_process

from .files import PathManager

__all__ = [
    "Checkpointer",
    "DetectionCheckpointer",
    "ModelCatalog",
    "PeriodicCheckpointer",
    "align_and_update_state_dicts",
]

_POINTER = "last_checkpoint"


class IncompatibleKeys(NamedTuple):
    """What of a checkpoint and of a model did not fit together."""

    missing_keys: list[str]
    unexpected_keys: list[str]
    incorrect_shapes: list[tuple[str, tuple[int, ...], tuple[int, ...]]]
    """Key of the model, shape in the checkpoint, shape in the model."""


class Checkpointer:
    """Saves a model and other things with a state as ``<save_dir>/<name>.pth``, and loads such files.

    Loading is not strict: what a file has no fitting tensor for stays as it is, and the log says so.

    Args:
        save_dir: where to save; "" for the working directory.
        save_to_disk: None: in the main process.
        checkpointables: by name, what else has a state: ``optimizer=``, ``scheduler=``.
    """

    def __init__(
        self,
        model: nn.Module,
        save_dir: str = "",
        *,
        save_to_disk: bool | None = None,
        **checkpointables: Any,
    ) -> None:
        self.model = unwrap(model)
        self.checkpointables = dict(checkpointables)
        self.logger = logging.getLogger(__name__)
        self.save_dir = os.fspath(save_dir)
        self.save_to_disk = is_main_process() if save_to_disk is None else save_to_disk
        self.path_manager = PathManager

    def add_checkpointable(self, key: str, checkpointable: Any) -> None:
        """Save and load something else, too.

        Raises:
            KeyError: the name is taken.
        """
        if key in self.checkpointables:
            raise KeyError(f"key {key!r} is already a checkpointable")
        self.checkpointables[key] = checkpointable

    def save(self, name: str, **kwargs: Any) -> None:
        """Write ``<name>.pth`` with the model, the others' states and what else is given, and remember it."""
        if not self.save_dir or not self.save_to_disk:
            return
        data: dict[str, Any] = {"model": self.model.state_dict()}
        data |= {key: value.state_dict() for key, value in self.checkpointables.items()}
        data.update(kwargs)
        path = Path(self.save_dir) / f"{name}.pth"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.logger.info("Saving checkpoint to %s", path)
        with atomic_write(path) as partial:
            torch.save(data, partial)
        self.tag_last_checkpoint(path.name)

    def load(self, path: str | None, checkpointables: list[str] | None = None) -> dict[str, Any]:
        """Load a file of weights, if there is one.

        Args:
            path: a file, a URL or a name such as ``detectron2://...``; "" or None: nothing is loaded.
            checkpointables: which other states to load; None: all that the file has.

        Returns:
            what else the file has, such as "iteration".

        Raises:
            FileNotFoundError: there is no such file.
            UnsafeFileError: it holds more than tensors and plain values.
        """
        if not path:
            self.logger.info("No checkpoint found. Initializing model from scratch")
            return {}
        self.logger.info("[Checkpointer] Loading from %s ...", path)
        local = self.path_manager.get_local_path(str(path))
        if not os.path.isfile(local):
            raise FileNotFoundError(f"checkpoint {path} not found")
        content = self._load_file(local)
        self._load_model(content)
        rest = {key: value for key, value in content.items() if key not in ("model", "__author__")}
        for key in self.checkpointables if checkpointables is None else checkpointables:
            if key in rest:
                self.checkpointables[key].load_state_dict(rest.pop(key))
        return rest

    def _load_file(self, filename: str) -> dict[str, Any]:
        """Return the contents of a file: the weights as "model", and what else it has."""
        content = load_content(filename)
        if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
            return dict(content)
        return {"model": content}

    def _load_model(self, checkpoint: dict[str, Any]) -> IncompatibleKeys:
        """Load the weights of a checkpoint as far as they fit; return what did not."""
        try:
            report = load_weights(self.model, checkpoint["model"], strict=False)
        except WeightsMismatchError as error:
            report = error.report
            if report.loaded:
                raise
            self.logger.warning(
                "nothing of the checkpoint fits the model, which stays as it was initialized: %s", error
            )
        return IncompatibleKeys(
            [*report.missing, *report.newly_initialized],
            list(report.unexpected),
            [(m.key, m.file_shape, m.model_shape) for m in report.mismatched],
        )

    def has_checkpoint(self) -> bool:
        """Return whether a checkpoint was saved in the folder."""
        return (Path(self.save_dir) / _POINTER).is_file()

    def get_checkpoint_file(self) -> str:
        """Return the path of the last checkpoint, "" where there is none."""
        pointer = Path(self.save_dir) / _POINTER
        if not pointer.is_file():
            return ""
        return os.path.join(self.save_dir, pointer.read_text(encoding="utf-8").strip())

    def get_all_checkpoint_files(self) -> list[str]:
        """Return the paths of all ``.pth`` files in the folder."""
        return sorted(str(path) for path in Path(self.save_dir).glob("*.pth"))

    def resume_or_load(self, path: str, *, resume: bool = True) -> dict[str, Any]:
        """Load the last checkpoint with all states if `resume` and there is one, else the weights of a
        file.
        """
        if resume and self.has_checkpoint():
            return self.load(self.get_checkpoint_file())
        return self.load(path, checkpointables=[])

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        """Write which checkpoint is the last one."""
        with atomic_write(Path(self.save_dir) / _POINTER) as partial:
            Path(partial).write_text(last_filename_basename, encoding="utf-8")


class DetectionCheckpointer(Checkpointer):
    """`Checkpointer` that knows detectron2's ``.pkl`` files, Caffe2's and torchvision's names, too."""


class PeriodicCheckpointer:
    """Saves every `period` iterations, and ``<prefix>_final`` at the end.

    Args:
        max_iter: when the end is; None: never.
        max_to_keep: keep so many of those saved here; None: all.
    """

    def __init__(
        self,
        checkpointer: Any,
        period: int,
        max_iter: int | None = None,
        max_to_keep: int | None = None,
        file_prefix: str = "model",
    ) -> None:
        if max_to_keep is not None and max_to_keep < 1:
            raise ValueError(f"max_to_keep={max_to_keep}: expected at least 1, or None")
        self.checkpointer = checkpointer
        self.period = int(period)
        self.max_iter = max_iter
        self.max_to_keep = max_to_keep
        self.file_prefix = file_prefix
        self.recent_checkpoints: list[str] = []

    def step(self, iteration: int, **kwargs: Any) -> None:
        """Save if an iteration ends a period, or is the last."""
        iteration = int(iteration)
        state = {"iteration": iteration, **kwargs}
        if self.period > 0 and (iteration + 1) % self.period == 0:
            self.checkpointer.save(f"{self.file_prefix}_{iteration:07d}", **state)
            if self.max_to_keep is not None:
                self.recent_checkpoints.append(self.checkpointer.get_checkpoint_file())
                while len(self.recent_checkpoints) > self.max_to_keep:
                    oldest = self.recent_checkpoints.pop(0)
                    if os.path.isfile(oldest) and not oldest.endswith(f"{self.file_prefix}_final.pth"):
                        os.remove(oldest)
        if self.max_iter is not None and iteration >= self.max_iter - 1:
            self.checkpointer.save(f"{self.file_prefix}_final", **state)

    def save(self, name: str, **kwargs: Any) -> None:
        """Save under a name."""
        self.checkpointer.save(name, **kwargs)


class ModelCatalog:
    """URLs of published weights by the names of detectron2's catalog."""

    @staticmethod
    def get(name: str) -> str:
        """Return the URL of a name such as ``ImageNetPretrained/MSRA/R-50``.

        Raises:
            RuntimeError: there are no such weights.
        """
        if name.startswith("ImageNetPretrained/"):
            return f"https://dl.fbaipublicfiles.com/detectron2/{name.removesuffix('.pkl')}.pkl"
        try:
            url = published_url(name)
        except CheckpointError:
            url = None
        if url is None:
            raise RuntimeError(f"model not present in the catalog: {name}")
        return url


def align_and_update_state_dicts(
    model_state_dict: Mapping[str, Any], ckpt_state_dict: Mapping[str, Any], c2_conversion: bool = True
) -> dict[str, Any]:
    """Return the tensors of a checkpoint under the keys of a model: those whose names end alike.

    `lazycfg.checkpoint.load_weights` does this and more, with an account of it. Tensors of the
    checkpoint that fit nowhere keep their names.

    Args:
        c2_conversion: has no effect: names of Caffe2 are turned into ours when a file is read.

    Raises:
        ValueError: two keys of the checkpoint fit one of the model equally well.
    """
    found: dict[str, Any] = {}
    used: set[str] = set()
    for key, tensor in model_state_dict.items():
        fits = [k for k in ckpt_state_dict if key == k or key.endswith(f".{k}")]
        longest = max(map(len, fits), default=0)
        best = [k for k in fits if len(k) == longest]
        if len(best) > 1:
            raise ValueError(f"{best} fit {key!r} equally well")
        if best and tuple(ckpt_state_dict[best[0]].shape) == tuple(tensor.shape):
            found[key] = ckpt_state_dict[best[0]]
            used.add(best[0])
    return {**found, **{k: v for k, v in ckpt_state_dict.items() if k not in used}}
