"""What a run knows of its data without having it: names, keypoints and colors, kept with the weights."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from lazycfg.checkpoint import CheckpointError, UnsafeFileError
from lazycfg.checkpoint.files import read_metadata
from lazycfg.data import Metadata

from .settings import SettingsError

__all__ = ["check_same_data", "loader_metadata", "metadata_of_weights", "weights_metadata"]

_KEY = "dataset"
# Where the files lay is of this machine only
_LEFT_OUT = ("json_file", "image_root")
# What the outputs of a model mean: when these differ, its weights belong to other data
_MEANING = ("thing_classes", "stuff_classes", "keypoint_names")


def loader_metadata(loader: Any) -> Metadata | None:
    """Return what the data set of a loader says about itself, None if it says nothing.

    A data set's own kind of metadata (any object with some of the attributes of `Metadata`) is taken over.
    """
    dataset = getattr(loader, "dataset", None)
    found = getattr(dataset, "metadata", getattr(loader, "metadata", None))
    if found is None or isinstance(found, Metadata):
        return found
    known = {each.name: getattr(found, each.name, None) for each in fields(Metadata)}
    return Metadata(**{name: value for name, value in known.items() if value is not None})


def weights_metadata(metadata: Metadata | None) -> dict[str, str]:
    """Return the entry for the ``__metadata__`` of a safetensors file: JSON under ``"dataset"``."""
    if metadata is None:
        return {}
    kept = {each.name: getattr(metadata, each.name) for each in fields(Metadata)}
    content = {name: value for name, value in kept.items() if name not in _LEFT_OUT and _is_told(value)}
    content["extra"] = {key: value for key, value in metadata.extra.items() if _is_json(value)}
    for name, value in content.items():
        if isinstance(value, Mapping):
            content[name] = {str(key): item for key, item in value.items()}
    return {_KEY: json.dumps(content, ensure_ascii=False, default=_plain_number)}


def metadata_of_weights(weights: str | os.PathLike[str]) -> Metadata | None:
    """Read what a file of weights says about the data that it was trained on.

    Returns:
        None for a file without it: of another format, of another program, or of an older version.

    Raises:
        ValueError: the file has an entry that is not what `weights_metadata` writes.
    """
    try:
        text = read_metadata(Path(weights)).get(_KEY)
    except (CheckpointError, UnsafeFileError, OSError):
        return None
    if text is None:
        return None
    try:
        content = json.loads(text)
        for name in ("thing_dataset_id_to_contiguous_id", "stuff_dataset_id_to_contiguous_id"):
            if name in content:
                content[name] = {_number(key): value for key, value in content[name].items()}
        known = {each.name for each in fields(Metadata)}
        return Metadata(**{name: value for name, value in content.items() if name in known})
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{weights}: its metadata {_KEY!r} does not describe a data set: {error}") from error


def check_same_data(weights: Path, metadata: Metadata | None) -> None:
    """Raise if a run that goes on has data with other classes or keypoints than its weights.

    Raises:
        SettingsError: names both.
    """
    before = metadata_of_weights(weights)
    if before is None or metadata is None:
        return
    for name in _MEANING:
        old, new = getattr(before, name), getattr(metadata, name)
        if old != new:
            raise SettingsError(
                f"the data of this run has changed. {name} of dataloader.train: {_listed(new)}. "
                f"{name} that {weights} was trained on: {_listed(old)}. Resume with the data that the run "
                "began with, or begin another run: train.output_dir=... "
                f"train.init_checkpoint={weights}"
            )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    return f"{len(names)} ({shown})" if names else "none"


def _is_told(value: Any) -> bool:
    return not (value is None or value == "" or (isinstance(value, (tuple, Mapping)) and not value))


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _plain_number(value: Any) -> Any:
    """Numbers of numpy, which JSON does not know."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} in the metadata of a data set: {value!r}")


def _number(key: str) -> int | str:
    return int(key) if key.lstrip("-").isdigit() else key
