"""What a config takes from its data sets (``L.attr(dataset, "num_classes")``), as values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from lazycfg.config.building.check import Checker
from lazycfg.config.tree.access import subset
from lazycfg.config.tree.chains import prefix_link
from lazycfg.config.tree.node import Node, is_call
from lazycfg.config.tree.traversal import plan, rebuild, survey
from lazycfg.data import Metadata

__all__ = ["calls_on_data", "with_values"]

_SPLITS = ("train", "test")
# What may ask a data set for its classes. (A sampler asks for a number for every image: not to be saved.)
_READERS = ("model", "dataloader.train.mapper", "dataloader.test.mapper", "dataloader.evaluator")
_LARGEST = 10_000  # numbers of an array that are written into a config


def calls_on_data(cfg: Node) -> list[Node]:
    """Return the calls in model, mappers and evaluator whose results depend on a data set of the loaders.

    The data sets themselves and what they are made of do not count. Outer calls come after inner ones.
    """
    datasets = _datasets(cfg)
    paths = [path for path in _READERS if _is_there(cfg, path)]
    depending: set[int] = set()  # ids of the contents of containers
    found: list[Node] = []
    for value, contents, above, places in _visits(cfg, paths):
        if id(value) not in datasets and id(contents) not in depending:
            continue
        depending.update(id(place) for place in (above, *places) if place is not None)
        if id(value) not in datasets and is_call(value):
            found.append(value)
    return found


def with_values(cfg: Node, built: Sequence[tuple[Node, Any]]) -> Node:
    """Return a config with plain values where it has calls on data; ``cfg`` is left alone.

    Numbers, texts, lists and dicts of them, small arrays and `Metadata` are values. What else was built (a
    model, a loader) stays a call.
    """
    values: dict[int, Any] = {}
    for node, value in built:
        written = _written(value)
        if written is not _NO_VALUE:
            values[id(node)] = written
    for value, contents, _ in plan(cfg):
        if id(value) in values:
            continue
        items = contents.items() if isinstance(contents, dict) else enumerate(contents)
        changes = {key: values[id(child)] for key, child in items if id(child) in values}
        if changes or isinstance(value, Node):  # every node is new: it stands in the new config
            values[id(value)] = rebuild(value, changes)
    result: Node = values.get(id(cfg), cfg)
    return result


def _datasets(cfg: Node) -> set[int]:
    """Return the ids of the loaders, and of their data sets with everything that these are made of."""
    loaders = cfg.get("dataloader")
    result: set[int] = set()
    for split in _SPLITS:
        loader = loaders.get(split) if isinstance(loaders, Mapping) else None
        if not isinstance(loader, Node):
            continue
        result.add(id(loader))
        if loader.get("dataset") is not None:
            path = f"dataloader.{split}.dataset"
            result.update(id(value) for value, *_ in _visits(cfg, [path]) if is_call(value))
    return result


def _is_there(cfg: Node, path: str) -> bool:
    value: Any = cfg
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value is not None


def _visits(cfg: Node, paths: Iterable[str]) -> Iterable[tuple[Any, Any, Any, list[Any]]]:
    """Yield (container, its contents, the contents it stands in first, and further ones), inner first."""
    part = subset(cfg, paths)
    seen = survey(part, prefix_link(part), Checker().resolve)
    for value, contents, _, above in seen.visits:
        yield value, contents, above, [place for place, _ in seen.shared.get(id(contents), ())]


_NO_VALUE: Any = object()


def _written(value: Any) -> Any:
    """Return a value as a config can hold it, `_NO_VALUE` if it cannot."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.generic):
        return _written(value.item())
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.size <= _LARGEST:
        return Node(_target_=np.array, object=value.tolist(), dtype=value.dtype.name)
    if isinstance(value, torch.Tensor) and not value.requires_grad and value.numel() <= _LARGEST:
        if value.dtype in (torch.float32, torch.int64, torch.bool):  # what torch.tensor makes of numbers
            return Node(_target_=torch.tensor, data=value.tolist())
        return _NO_VALUE
    if type(value) in (list, tuple):
        items = [_written(item) for item in value]
        return _NO_VALUE if any(item is _NO_VALUE for item in items) else type(value)(items)
    if type(value) is dict:
        entries = {key: _written(item) for key, item in value.items()}
        plain = all(type(key) in (str, int) for key in value)
        return entries if plain and all(item is not _NO_VALUE for item in entries.values()) else _NO_VALUE
    if type(value) is Metadata:
        told = {each.name: _written(getattr(value, each.name)) for each in fields(Metadata)}
        return Node(_target_=Metadata, **{name: item for name, item in told.items() if item is not _NO_VALUE})
    return _NO_VALUE
