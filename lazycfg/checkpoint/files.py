"""Reading a file of weights, whatever made it: the format is recognised by its content, never by its
suffix.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from lazycfg.checkpoint.download import local_weights
from lazycfg.checkpoint.errors import CheckpointError
from lazycfg.checkpoint.remote import near_names
from lazycfg.checkpoint.torch_file import LEGACY_MAGIC, ZIP_MAGIC, load_torch_file
from lazycfg.config.tree.repr import printable
from lazycfg.utils import UnsafeFileError, load_numpy_pickle

__all__ = ["Weights", "read_metadata", "read_weights"]

Format = Literal["safetensors", "torch", "pickle", "memory"]

# Under which name the usual training scripts keep the weights: detectron2 and most others, pycls,
# mmdetection, lightning.
_WRAPPERS = ("model", "model_state", "state_dict", "model_state_dict", "module")
_LONGEST_NAME = 1000


@dataclass
class Weights:
    """The contents of a weights file, before its keys are matched with a model."""

    state: dict[str, Tensor]
    source: str
    """Where it came from, for messages."""
    format: Format
    author: str = ""
    """What the file says of its maker (``__author__`` of detectron2's ``.pkl``)."""
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_weights(source: str | os.PathLike[str] | Mapping[str, Any]) -> Weights:
    """Read a state dict from a file, or take it from a mapping.

    Args:
        source: a path to a ``.safetensors`` file; a ``torch.save`` file (``.pth``) of tensors, with the
            weights at the top or under ``model``, ``model_state``, ``state_dict``...; a pickle of numpy
            arrays (detectron2's and Caffe2's ``.pkl``); a name or URL of such a file, which is downloaded
            (see `local_weights`); or a mapping of the same content.

    Returns:
        the tensors on the CPU, in the dtype of the file.

    Raises:
        FileNotFoundError: naming the path.
        UnsafeFileError: the file holds anything but numbers, texts and containers. Nothing of it was
            executed.
        CheckpointError: it is damaged, no weights were found in it, or it cannot be downloaded
            (`DownloadError`); a ValueError.
    """
    if isinstance(source, Mapping):
        return _weights_in(source, source="the given mapping", format="memory")
    path = local_weights(source)
    if not path.is_file():
        end = " (a directory)" if path.is_dir() else near_names(os.fspath(source))
        raise FileNotFoundError(f"no file of weights at {path}{end}")
    return _READERS[_format_of(path)](path)


def load_tensors(path: str | os.PathLike[str], *, many_parts: bool = False) -> Any:
    """Read a file of ``torch.save`` that holds tensors, plain values and containers, onto the CPU.

    Args:
        path: of the file.
        many_parts: it may hold many plain values, as a training's state does.

    Raises:
        UnsafeFileError: it holds anything else. Nothing of it was executed.
        CheckpointError: it is damaged.
    """
    with _naming(path, "a file of torch.save with tensors and plain containers alone"):
        return load_torch_file(Path(path), many_parts=many_parts)


def load_content(path: str | os.PathLike[str]) -> Any:
    """Read all that a file of weights holds, as it is: what stands beside the weights, too.

    Returns:
        of a safetensors file the tensors by name; of others what was saved.

    Raises:
        FileNotFoundError, UnsafeFileError, CheckpointError: as `read_weights`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file of weights at {path}")
    kind = _format_of(path)
    if kind == "safetensors":
        return _read_safetensors(path).state
    return load_tensors(path) if kind == "torch" else _load_arrays(path)


def _read_torch(path: Path) -> Weights:
    return _weights_in(load_tensors(path), source=str(path), format="torch")


def _load_arrays(path: Path) -> Any:
    with (
        _naming(path, "a file of weights (safetensors, torch.save of tensors, pickle of numpy arrays)"),
        path.open("rb") as file,
    ):
        return load_numpy_pickle(file)


def _read_pickle(path: Path) -> Weights:
    return _weights_in(_load_arrays(path), source=str(path), format="pickle")


def _read_safetensors(path: Path) -> Weights:
    with _naming(path, "a file of safetensors"):
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = dict(file.metadata() or {})
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        # Tensors that the model shares are written once; the other names are kept beside them.
        aliases = json.loads(metadata.pop("aliases", "{}"))
        state |= {alias: state[name] for alias, name in aliases.items()}
    return _checked(Weights(state=state, source=str(path), format="safetensors", metadata=metadata))


def read_metadata(path: Path) -> dict[str, str]:
    """Return the texts that a file of weights keeps beside its tensors.

    Of a safetensors file only the header is read, of another the whole file.

    Raises:
        FileNotFoundError: naming the path.
        UnsafeFileError: see `read_weights`.
        CheckpointError: it is damaged, or no file of weights.
    """
    if not path.is_file() or _format_of(path) != "safetensors":
        return dict(read_weights(path).metadata)
    with _naming(path, "a file of safetensors"), safe_open(path, framework="pt", device="cpu") as file:
        return dict(file.metadata() or {})


_READERS = {"safetensors": _read_safetensors, "torch": _read_torch, "pickle": _read_pickle}


@contextmanager
def _naming(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Turn whatever a damaged or hostile file causes into an error that names the file."""
    try:
        yield
    except UnsafeFileError as error:
        raise UnsafeFileError(
            printable(f"{os.fspath(path)} is not {what}, so it was refused: {error}")
        ) from error
    except OSError as error:
        raise CheckpointError(f"{os.fspath(path)} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # SafetensorError, RecursionError, TypeError, ...: there are many
        detail = (
            str(error) if isinstance(error, pickle.UnpicklingError) else f"{type(error).__name__}: {error}"
        )
        raise CheckpointError(printable(f"{os.fspath(path)} is not {what}: {detail[:300]}")) from error


def _format_of(path: Path) -> Format:
    with _naming(path, "a file of weights"), path.open("rb") as file:
        head = file.read(64)
    if head[:4] == ZIP_MAGIC or LEGACY_MAGIC in head:
        return "torch"
    if len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] > 0:
        return "safetensors"
    return "pickle"


def _weights_in(content: Any, *, source: str, format: Format) -> Weights:
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{source} holds a {type(content).__name__}; expected a dict of weights")
    author = str(content.get("__author__", ""))
    state: Mapping[str, Any] = content
    for name in (*_WRAPPERS, "blobs"):
        inner = content.get(name)
        if isinstance(inner, Mapping) and any(map(_is_array, inner.values())):
            state = inner
            break
    made: dict[int, Tensor] = {}  # an array under several names is one tensor
    tensors = {
        str(key): made.setdefault(id(value), _tensor(value))
        for key, value in state.items()
        if _is_array(value)
    }
    if not tensors:
        keys = ", ".join(repr(str(key)[:60]) for key in list(content)[:8])
        raise CheckpointError(
            printable(
                f"no weights found in {source}: it has the keys [{keys}]; expected tensors at the top or "
                f"under one of {', '.join(_WRAPPERS)}"
            )
        )
    metadata = content.get("metadata")
    texts = isinstance(metadata, Mapping) and all(isinstance(v, str) for kv in metadata.items() for v in kv)
    return _checked(
        Weights(
            state=tensors,
            source=source,
            format=format,
            author=author,
            metadata=dict(metadata) if texts else {},
        )
    )


def _checked(weights: Weights) -> Weights:
    if not weights.state:
        raise CheckpointError(f"no weights found in {weights.source}: it has no tensors")
    if long := next((key for key in weights.state if len(key) > _LONGEST_NAME), None):
        raise CheckpointError(
            printable(f"{weights.source} has a tensor with a name of {len(long)} letters: {long[:60]}...")
        )
    return weights


def _is_array(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray))


def _tensor(value: Tensor | np.ndarray) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    if value.dtype == np.uint16:
        value = value.astype(np.int32)
    elif value.dtype in (np.uint32, np.uint64):
        value = value.astype(np.int64)
    return torch.from_numpy(np.array(value, order="C"))  # a copy: a file's buffer is read-only
