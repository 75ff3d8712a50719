"""Checkpoints of a training run: the weights, and all else that must come back for the run to go on as if it
had never stopped.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from lazycfg.checkpoint.errors import CheckpointError, MissingCheckpointError
from lazycfg.checkpoint.files import load_tensors, read_metadata
from lazycfg.checkpoint.folder import (
    POINTER,
    WEIGHTS,
    last_checkpoint,
    old_checkpoints,
    remove_checkpoint,
    trainer_file,
    verify_checksums,
    write_checksums,
    write_pointer,
)
from lazycfg.checkpoint.loading import load_weights, unwrap
from lazycfg.checkpoint.optimizer_state import OptimizerState
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

_TORCH_SUFFIXES = (".pth", ".pt")


@runtime_checkable
class Stateful(Protocol):
    """Anything that can be saved and resumed.

    An object with a true attribute ``per_rank`` has a state of its own in every process (`RandomState`); of
    all others the main process's state is kept and given to all.
    """

    def state_dict(self) -> Mapping[str, Any]:
        """Return everything that is needed to continue."""
        ...

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Continue from a state."""
        ...


class Checkpointer:
    """Saves and restores a model and whatever else has a state.

    A checkpoint ``name`` is three files in ``save_dir``: ``name.safetensors``, the weights, which any program
    can read without risk; ``name.trainer.pt``, the rest (tensors and plain values only); and ``name.sha256``,
    the checksums of both, which are compared on resuming. Each is written whole or not at all, and the file
    ``last_checkpoint`` names the last one that was completed. Every process must call `save` and the loading
    functions; the main process writes.

    Args:
        model: its weights are saved under the names they have without DDP or torch.compile.
        save_dir: made when first needed.
        max_to_keep: keep so many of the checkpoints whose names end in a number (``model_0004999``), those
            with the largest; the others (``model_final``, ``model_best``) stay. None keeps all.
        metadata: texts to write into every file of weights, for whoever reads it.
        **stateful: by name, what else to save: ``optimizer=``, ``scheduler=``, ``random=RandomState()``... An
            optimizer is given as it was built; see `OptimizerState`.
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
        self.stateful: dict[str, Stateful] = {
            name: OptimizerState(value, model) if isinstance(value, torch.optim.Optimizer) else value
            for name, value in stateful.items()
        }
        self._saved = False
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

        Raises:
            OSError: it could not be written, and why: no space is left, the folder is read-only. The
                checkpoint before is whole.
            TypeError: something has a state that is not plain values and tensors.
        """
        by_rank = all_gather({key: plain(v.state_dict(), key) for key, v in self._split(per_rank=True)})
        failure: Exception | None = None
        weights = self.save_dir / f"{name}{WEIGHTS}"
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
            raise OSError(f"the main process could not write the checkpoint {weights}: {message}")
        return weights

    def _write(self, weights: Path, state: Mapping[str, Tensor], content: dict[str, Any]) -> None:
        save_id = secrets.token_hex(8)
        tensors = [*state.values(), *_tensors_in(content)]
        if not self.save_dir.is_dir() and self._saved:
            logger.warning("the folder %s was gone; it is made again for the checkpoint", self.save_dir)
        with _explained(weights, tensors):
            with atomic_write(trainer_file(weights)) as partial:
                torch.save({"save_id": save_id, **content}, partial)
            _write_safetensors(state, weights, metadata={**self.metadata, "save_id": save_id})
            write_pointer(weights)
            write_checksums(weights)  # after it: a checkpoint that has them was completed
        self._saved = True
        if self.max_to_keep is not None:
            for path in old_checkpoints(weights, self.max_to_keep):
                remove_checkpoint(path)

    def _split(self, *, per_rank: bool) -> list[tuple[str, Stateful]]:
        return [
            (name, value)
            for name, value in self.stateful.items()
            if bool(getattr(value, "per_rank", False)) == per_rank
        ]

    # -- reading

    def has_checkpoint(self) -> bool:
        """Return whether `save_dir` has a completed checkpoint.

        Raises:
            CheckpointError: it has checkpoints, but does not say which is the last.
        """
        return last_checkpoint(self.save_dir) is not None

    def get_checkpoint_file(self) -> Path:
        """Return the weights of the last completed checkpoint in `save_dir`.

        Raises:
            MissingCheckpointError: there is none; a FileNotFoundError.
            CheckpointError: as for `has_checkpoint`.
        """
        path = last_checkpoint(self.save_dir)
        if path is None:
            raise MissingCheckpointError(f"no checkpoint in {self.save_dir}: it has no file {POINTER!r}")
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
            CheckpointError: a file of the checkpoint is damaged or was changed, its files are not of the same
                `save`, or a part of the state is lacking or does not fit.
        """
        path = Path(path)
        content = self._read_trainer_file(path) if trainer_file(path).is_file() else None
        self.last_report = load_weights(self.model, path, strict=strict, ignore=ignore)
        if content is None:
            logger.info(
                "%s has weights only: %s start afresh", path, ", ".join(self.stateful) or "no other states"
            )
            return {}
        for name, value in self._split(per_rank=False):
            _restore(name, value, content["state"][name], path)
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
                _restore(name, value, by_rank[get_rank()][name], path)
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

        Raises:
            CheckpointError: from `load`; or `save_dir` has checkpoints, but does not say which is the last.
        """
        checkpoint = last_checkpoint(self.save_dir) if resume else None
        if checkpoint is not None:
            if not trainer_file(checkpoint).is_file():
                raise MissingCheckpointError(
                    f"cannot resume from {checkpoint}: {trainer_file(checkpoint)} is gone. Its weights alone "
                    f"can begin a new run: {_new_run(checkpoint)}"
                )
            extra = self.load(checkpoint)
            logger.info("resumed from %s", checkpoint)
            return extra
        if resume:
            logger.info("nothing to resume from in %s", self.save_dir)
        if path is None or not os.fspath(path):
            logger.info("no initial weights: the model starts as it was initialised")
            _tell_frozen(self.model)
            return {}
        self.last_report = load_weights(self.model, path, strict=strict, ignore=ignore)
        return {}

    def _read_trainer_file(self, weights: Path) -> dict[str, Any]:
        file = trainer_file(weights)
        content = load_tensors(file, many_parts=True)
        parts = {"save_id": str, "state": dict, "by_rank": list, "extra": dict}
        if not isinstance(content, dict) or any(
            not isinstance(content.get(name), kind) for name, kind in parts.items()
        ):
            raise CheckpointError(f"{file} is not the training state of a checkpoint of lazycfg")
        if read_metadata(weights).get("save_id") != content["save_id"]:
            raise CheckpointError(
                f"{weights} and {file.name} were not saved together (a run died while it replaced them); "
                f"resume from another checkpoint by writing its name into {weights.with_name(POINTER)}, "
                "or load the weights alone"
            )
        if not verify_checksums(weights):
            logger.warning("%s has no checksums (an older checkpoint): it is taken as it is", weights)
        for place in (content["state"], *content["by_rank"]):
            if not isinstance(place, dict):
                raise CheckpointError(f"{file} is not the training state of a checkpoint of lazycfg")
        here = content["by_rank"][0] if content["by_rank"] else {}
        saved = {*content["state"], *here}
        if lacking := [name for name in self.stateful if name not in saved]:
            raise CheckpointError(
                f"{file} has the states {sorted(saved)} and no {', '.join(lacking)}"
                + closest(lacking[0], saved)
            )
        if unclaimed := sorted(saved - set(self.stateful)):
            logger.warning(
                "%s also has the state of %s, which this run does not use", file, ", ".join(unclaimed)
            )
        return content


def _restore(name: str, value: Stateful, state: Any, weights: Path) -> None:
    """Give a part of the training its state back.

    Raises:
        CheckpointError: it does not fit; says what to do.
    """
    if isinstance(value, torch.amp.GradScaler) and not state and value.is_enabled():
        logger.warning("%s was saved without scaled gradients: the scale starts afresh", weights)
        return
    try:
        value.load_state_dict(state)
    except Exception as error:
        said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise CheckpointError(
            f"cannot resume from {weights}: the state of {name} does not fit this run. {said.rstrip('.')}. "
            f"Go on as the run was begun, or begin a new one with its weights: {_new_run(weights)}"
        ) from error


def _new_run(weights: Path) -> str:
    return f"train.init_checkpoint={weights} train.output_dir=..."


def save_weights(
    model: nn.Module, path: str | os.PathLike[str], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a model's weights, under the names they have without DDP or torch.compile.

    The file appears whole or not at all.

    Args:
        model: the model.
        path: ``.safetensors``, where tensors that the model shares are written once; or ``.pth`` or ``.pt``,
            which ``torch.load`` reads: a dict with the tensors under ``"model"``.
        metadata: texts to keep with the weights (in a ``.pth`` under ``"metadata"``).

    Raises:
        CheckpointError: another suffix.
        OSError: the file could not be written, and why.
    """
    save_state(collect_weights(model), path, metadata=metadata)


def save_state(
    state: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
    under: str | None = "model",
) -> None:
    """Write tensors by name, as `save_weights` does.

    Args:
        state: the tensors.
        path, metadata: see `save_weights`.
        under: in a ``.pth``, the key of the dict that they are put under; None writes them alone.

    Raises:
        CheckpointError: another suffix.
        OSError: the file could not be written, and why.
    """
    path = Path(path)
    if path.suffix not in (WEIGHTS, *_TORCH_SUFFIXES):
        raise CheckpointError(
            f"cannot write weights as {path}: its suffix {path.suffix!r} says no format. Weights are written "
            "as .safetensors, or as .pth or .pt, which torch.load reads"
        )
    with _explained(path, state.values()):
        if path.suffix == WEIGHTS:
            _write_safetensors(state, path, metadata=metadata or {})
            return
        tensors, aliases = _distinct(state)
        content = {key: tensors[aliases.get(key, key)] for key in state}
        with atomic_write(path) as partial:
            if under is not None:
                torch.save({under: content, **({"metadata": dict(metadata)} if metadata else {})}, partial)
            else:
                torch.save(content, partial)


def collect_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the state dict of a model, without wrappers, as whole tensors in the shape of their parameters
    (with FSDP, a collective call).

    Raises:
        TypeError: something in it is no tensor.
    """
    state = {}
    for key, value in unwrap(model).state_dict().items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{key} in the model's state_dict is a {type(value).__name__}; only tensors are saved"
            )
        state[plain_key(key)] = value.full_tensor() if hasattr(value, "full_tensor") else value.detach()
    return state


def _write_safetensors(state: Mapping[str, Tensor], path: Path, *, metadata: Mapping[str, str]) -> None:
    tensors, aliases = _distinct(state)
    with atomic_write(path) as partial:
        save_file(tensors, partial, metadata={"format": "pt", "aliases": json.dumps(aliases), **metadata})
        _sort_metadata(partial)


def _sort_metadata(path: Path) -> None:
    """Put the texts in the header of a file in order: safetensors writes them in another one each time."""
    with open(path, "r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        written = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode().ljust(length)
        if len(written) == length:  # else it has texts that are escaped in another way
            file.seek(8)
            file.write(written)


def _distinct(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors to write, on the CPU, whole and contiguous; and for each other name the one it
    shares.
    """
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
    return tensors, aliases


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors_in(item)


@contextmanager
def _explained(path: Path, tensors: Iterable[Tensor]) -> Iterator[None]:
    """Say why a file could not be written, whatever the library that wrote it made of that.

    Raises:
        OSError: in one line.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        of_torch = any(word in text for word in ("inline_container", "PytorchStreamWriter", "ostream"))
        if isinstance(error, RuntimeError) and not of_torch:
            raise
        needed = 2**16 + sum(tensor.nbytes for tensor in tensors)
        folder = next((parent for parent in path.parents if parent.is_dir()), Path())
        free = shutil.disk_usage(folder).free
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or free < needed
        if full or "os error 28" in text:
            raise OSError(
                f"no space left in {path.parent}: {path.name} needs about {needed / 2**20:.3g} MB, "
                f"{free / 2**20:.3g} MB are free. The checkpoints before are whole; make room and go on with "
                "--resume"
            ) from error
        partly = "only a part of it was taken: a quota, or a limit on the size of files (ulimit -f)"
        why = partly if of_torch else getattr(error, "strerror", None) or text
        raise OSError(f"cannot write {path}: {why}. The checkpoints before are whole") from error


def _tell_frozen(model: nn.Module) -> None:
    """Warn of parameters that are not trained although nothing was loaded into them."""
    frozen = {name: value.numel() for name, value in model.named_parameters() if not value.requires_grad}
    if frozen:
        logger.warning(
            "%s parameters are frozen and keep their initial values, from %s on: give train.init_checkpoint, "
            "or train them (freeze_at=0 of a ResNet)",
            f"{sum(frozen.values()):,}",
            next(iter(frozen)),
        )
