"""The data of our lazy configs in detectron2's form: data sets by their registered names.

Public configs set ``dataloader.train.dataset.names = "my_train"``, and programs read it.
"""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import data, evaluation
from lazycfg.config.tree.node import Node, raw_get

from . import evaluators, loaders
from .mapper import DatasetMapper

__all__ = ["name_datasets"]

_NAMED = (data.CocoDataset, data.CocoPanopticDataset)
_LOADERS = {
    data.build_detection_train_loader: loaders.build_detection_train_loader,
    data.build_detection_test_loader: loaders.build_detection_test_loader,
}


def name_datasets(dataloader: Any) -> None:
    """Put data sets by name in the place of those of COCO in `train` and `test`, and what goes with them: the
    loaders, mappers and evaluators of detectron2. Other data stay as they are.
    """
    parts = [dataloader.get(key) for key in ("train", "test")]
    named = [_by_name(part.get("dataset")) if isinstance(part, Node) else None for part in parts]
    if None in named:
        return
    for part, dataset in zip(parts, named, strict=True):
        part._target_ = _LOADERS.get(raw_get(part, "_target_"), raw_get(part, "_target_"))
        part.dataset = dataset
        part.pop("seed", None)  # the order is drawn from torch's generator, which default_setup seeds
        if raw_get(part.mapper, "_target_") is data.DatasetMapper:
            part.mapper._target_ = DatasetMapper
    found = dataloader.get("evaluator")
    for evaluator in found if isinstance(found, list) else [found]:
        _name_dataset_of(evaluator)


def _by_name(dataset: Any) -> Any:
    """Return the call that reads a data set by its name; None for one that has none."""
    given: dict[str, Any] = {"filter_empty": False}
    if isinstance(dataset, Node) and raw_get(dataset, "_target_") is data.FilteredDataset:
        given = {key: dataset[key] for key in dataset.args() if key != "dataset"}
        dataset = dataset.dataset
    if not isinstance(dataset, Node) or raw_get(dataset, "_target_") not in _NAMED or "name" not in dataset:
        return None
    if not given.keys() <= {"filter_empty", "min_keypoints"}:
        return None
    return L(loaders.get_detection_dataset_dicts)(names=dataset.name, **given)


def _name_dataset_of(evaluator: Any) -> None:
    if not isinstance(evaluator, Node):
        return
    target, reference = raw_get(evaluator, "_target_"), raw_get(evaluator, "dataset")
    theirs = getattr(evaluators, getattr(target, "__name__", ""), None)
    if theirs is None or getattr(evaluation, target.__name__) is not target or type(reference) is not str:
        return
    evaluator._target_ = theirs
    del evaluator["dataset"]
    evaluator.dataset_name = f"{reference.removesuffix('}')}.names}}"
