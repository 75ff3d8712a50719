"""What the parts of a run say about themselves: data set and mapper of a loader, needs of a model."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from lazycfg.config.tree.keys import find_key
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.paths import MISSING, parse_path
from lazycfg.data import MapDataset
from lazycfg.evaluation import DatasetEvaluators
from lazycfg.inspection.origins import origin
from lazycfg.modeling import DataNeeds, TellsDataNeeds

__all__ = [
    "config_path",
    "evaluators_of",
    "mapped_of",
    "mapper_of",
    "metadata_of",
    "needs_of",
    "records_of",
    "stored",
]


def mapped_of(loader: Any) -> MapDataset | None:
    """Return the mapped records of a loader of this library, None of another."""
    dataset = getattr(loader, "dataset", None)
    return dataset if isinstance(dataset, MapDataset) else None


def records_of(loader: Any) -> Any:
    """Return the data set below the mapper, None for a loader of another make."""
    mapped = mapped_of(loader)
    return None if mapped is None else mapped.dataset


def mapper_of(loader: Any) -> Any:
    """Return what turns records into samples, None for a loader of another make."""
    mapped = mapped_of(loader)
    return None if mapped is None else mapped.map_func


def metadata_of(loader: Any) -> Any:
    """Return what the data set of a loader says about itself, None if it says nothing."""
    dataset = getattr(loader, "dataset", None)
    dataset = dataset.dataset if isinstance(dataset, MapDataset) else dataset
    return getattr(dataset, "metadata", None)


def evaluators_of(evaluator: Any) -> list[Any]:
    """Return the evaluators that one, or a list, is made of."""
    if evaluator is None:
        return []
    if isinstance(evaluator, DatasetEvaluators):
        evaluator = evaluator.evaluators
    if not isinstance(evaluator, Sequence):
        return [evaluator]
    return [single for part in evaluator for single in evaluators_of(part)]


def needs_of(model: nn.Module) -> Iterator[tuple[str, DataNeeds]]:
    """Yield the config path of each part of a model that says what it needs, outer parts first."""
    for name, part in model.named_modules():
        if isinstance(part, TellsDataNeeds):
            yield config_path(part, f"model.{name}".rstrip(".")), part.data_needs()


def config_path(part: Any, otherwise: str) -> str:
    """Return where in the config a built object was written."""
    found = origin(part)
    return otherwise if found is None or not found.path.startswith("model") else found.path


def stored(cfg: Node, path: str) -> Any:
    """Return what stands at a path of a config, an interpolation as its text; None where nothing does."""
    value: Any = cfg
    for key in parse_path(path):
        value = find_key(value, key)
        if value is MISSING:
            return None
    return value
