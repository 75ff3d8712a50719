"""Reading a file of weights, whatever made it: the format is recognised by its content, never by its
suffix."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lazycfg.utils import UnsafeFileError, load_numpy_pickle

__all__ = ["Weights", "read_weights"]

Format = Literal["safetensors", "torch", "pickle", "memory"]

# Under which name the usual training scripts keep the weights: detectron2 and most others, pycls,
# mmdetection, lightning.
_WRAPPERS = ("model", "model_state", "state_dict", "model_state_dict", "module")
_LEGACY_TORCH_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"


@dataclass
class Weights:
    """What a file of weights holds, before its keys are fitted to a model."""

    state: dict[str, Tensor]
    source: str
    """Where it came from, for messages."""
    format: Format
    author: str = ""
    """What the file says of its maker (``__author__`` of detectron2's ``.pkl``)."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    versions: Any = None
    """The ``_metadata`` of a torch state dict: the versions of its modules."""


def read_weights(source: str | os.PathLike[str] | Mapping[str, Any]) -> Weights:
    """Read a state dict from a file, or take it from a mapping.

    Args:
        source: a path to a ``.safetensors`` file; a ``torch.save`` file (``.pth``) of tensors, with the
            weights at the top or under ``model``, ``model_state``, ``state_dict``...; a pickle of numpy
            arrays (detectron2's and Caffe2's ``.pkl``); or a mapping of the same content.

    Returns:
        the tensors on the CPU, in the dtype of the file.

    Raises:
        FileNotFoundError: naming the path.
        UnsafeFileError: the file holds anything but numbers, texts and containers. Nothing of it was
            executed.
        ValueError: no weights were found in it.
    """
    if isinstance(source, Mapping):
        return _weights_in(source, source="the given mapping", format="memory")
    path = Path(source)
    if "://" in str(source):
        raise ValueError(f"{source}: weights are read from local files; download it first and give its path")
    if not path.is_file():
        raise FileNotFoundError(f"no file of weights at {path}" + (" (a directory)" if path.is_dir() else ""))
    kind = _format_of(path)
    if kind == "safetensors":
        return _read_safetensors(path)
    if kind == "torch":
        return _weights_in(load_tensors(path), source=str(path), format="torch")
    try:
        with path.open("rb") as file:
            content = load_numpy_pickle(file)
    except UnsafeFileError as error:
        raise UnsafeFileError(f"{path} is not a file of weights: {error}") from error
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is no file of weights in a known format (safetensors, torch.save of tensors, "
            f"pickle of numpy arrays): {error}"
        ) from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds a {type(content).__name__}; expected a dict of weights")
    return _weights_in(content, source=str(path), format="pickle")


def load_tensors(path: str | os.PathLike[str]) -> Any:
    """`torch.load` onto the CPU that refuses everything but tensors and plain containers."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = (
            str(error).replace("\n", " ").split("WeightsUnpickler error:")[-1].split("Please use")[0].strip()
        )
        raise UnsafeFileError(
            f"{path} holds more than tensors and plain containers, so it was refused and nothing of it was "
            f"executed ({reason.strip()[:300]})"
        ) from error
    except (RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is damaged, or not a file of torch.save: {error}") from error


def _format_of(path: Path) -> Format:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
    if head[:4] == b"PK\x03\x04" or _LEGACY_TORCH_MAGIC in head:
        return "torch"
    if len(head) > 8 and head[8:9] == b"{" and 0 < struct.unpack("<Q", head[:8])[0] <= size - 8:
        return "safetensors"
    return "pickle"


def _read_safetensors(path: Path) -> Weights:
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as file:
        metadata = file.metadata() or {}
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    # Tensors that the model shares are written once; the other names are kept beside them.
    for alias, name in json.loads(metadata.get("aliases", "{}")).items():
        state[alias] = state[name]
    return Weights(state=state, source=str(path), format="safetensors", metadata=metadata)


def _weights_in(content: Mapping[str, Any], *, source: str, format: Format) -> Weights:
    author = str(content.get("__author__", ""))
    state: Mapping[str, Any] = content
    for name in (*_WRAPPERS, "blobs"):
        inner = content.get(name)
        if isinstance(inner, Mapping) and any(map(_is_array, inner.values())):
            state = inner
            break
    tensors = {str(key): _tensor(value) for key, value in state.items() if _is_array(value)}
    if not tensors:
        keys = ", ".join(map(repr, list(content)[:8]))
        raise ValueError(
            f"no weights found in {source}: it has the keys [{keys}]; expected tensors at the top or under "
            f"one of {', '.join(_WRAPPERS)}"
        )
    return Weights(
        state=tensors,
        source=source,
        format=format,
        author=author,
        versions=getattr(state, "_metadata", None),
    )


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
