"""Classes of the model against those of the data, and those of the test data against the training's."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from lazycfg.config.tree.node import Node
from lazycfg.data import summarize

from ..class_mapping import ClassMapping, match_classes
from .findings import Findings
from .looking import metadata_of, needs_of, records_of, stored

__all__ = ["compare_data_sets", "compare_with_model"]

_KINDS = {"thing_classes": "classes", "stuff_classes": "classes of pixels (stuff_classes)"}


def compare_with_model(
    cfg: Node, model: nn.Module, loader: Any, found: Findings, *, split: str, extra_classes: bool = False
) -> None:
    """Compare how many classes each part of a model tells apart with how many the data has.

    Args:
        cfg: where the parts of the model were written.
        model: its parts are asked (see `lazycfg.modeling.TellsDataNeeds`).
        loader: of the data.
        found: takes in what is wrong.
        split: "train" or "test", for the messages.
        extra_classes: whether a part may tell more classes apart than there are.
    """
    needs = list(needs_of(model))
    for kind, noun in _KINDS.items():
        wanted = {path: count for path, need in needs if (count := getattr(need, kind)) is not None}
        if not wanted:
            continue
        data = f"dataloader.{split}.dataset"
        names = _names(loader, kind)
        least = len(names) or (_number_seen(loader) if kind == "thing_classes" else 0)
        if not least:
            found.unjudged(f"{noun} of {data}: it has no metadata.{kind}")
            continue
        wrong = {
            path: count
            for path, count in wanted.items()
            if count < least or (names and count > least and not (extra_classes and kind == "thing_classes"))
        }
        for path in _literal(cfg, wrong):
            found.add(
                f"{path}.num_classes",
                _told(path, wrong[path], least, names, noun, data),
                f"{path}.num_classes={least}"
                + (" (or train.extra_classes=true, if the others are meant)" if wrong[path] > least else ""),
            )
    if not any(need.thing_classes or need.stuff_classes for _, need in needs):
        found.unjudged(f"the number of classes of {type(model).__name__}: no part of it has data_needs()")


def _told(path: str, count: int, least: int, names: Sequence[str], noun: str, data: str) -> str:
    listed = f" ({_listed(names)})" if names else ""
    has = "has" if names else "uses at least"
    if count < least:
        end = "the last of them would be trained as background"
    else:
        end = f"{count - least} would never be trained"
    return f"{path} tells {count} {noun} apart, {data} {has} {least}{listed}: {end}"


def _literal(cfg: Node, wrong: Mapping[str, int]) -> list[str]:
    """Leave out the parts whose number is taken from another one's: to change that one is enough."""
    plain = [path for path in wrong if not _is_text(stored(cfg, f"{path}.num_classes"))]
    return plain or list(wrong)[:1]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def _names(loader: Any, kind: str) -> tuple[str, ...]:
    return tuple(getattr(metadata_of(loader), kind, None) or ())


def _number_seen(loader: Any) -> int:
    """Return the largest category id of a data set without names, plus one."""
    records = records_of(loader)
    return 0 if records is None else max(summarize(records).per_class, default=-1) + 1


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(str, names[:8])) + (", ..." if len(names) > 8 else "")


def compare_data_sets(
    model: nn.Module, train: Any, test_loader: Any, found: Findings, *, training: bool = True
) -> ClassMapping | None:
    """Find where each class that is trained stands in the test data, by its name.

    Args:
        model: it may tell more classes apart than there are, which have no number in the test data then.
        train: metadata of the training data.
        test_loader: of the test data.
        found: takes in what is wrong: objects to be found that the training data has no class for.
        training: whether the model is to be trained, or only evaluated, for the messages.

    Returns:
        the mapping; None where both have the same classes in the same order.
    """
    things = _match("thing_classes", train, test_loader, found, training)
    stuff = _match("stuff_classes", train, test_loader, found, training)
    names = tuple(getattr(train, "thing_classes", None) or ())
    most = max((need.thing_classes or 0 for _, need in needs_of(model)), default=0)
    if names and most > len(names):
        known = tuple(range(len(names))) if things is None else things
        things = (*known, *(-1 for _ in range(most - len(names))))
    return None if things is None and stuff is None else ClassMapping(things=things, stuff=stuff)


def _match(
    kind: str, train: Any, test_loader: Any, found: Findings, training: bool
) -> tuple[int, ...] | None:
    mine, theirs = tuple(getattr(train, kind, None) or ()), _names(test_loader, kind)
    where = f"dataloader.test.dataset: {kind}"
    if bool(mine) != bool(theirs):
        lacking = "dataloader.test.dataset" if mine else "dataloader.train.dataset"
        found.unjudged(f"{kind}: {lacking} has none, so its numbers are taken to be those of the other")
        return None
    try:
        mapping = match_classes(mine, theirs)
    except ValueError as error:
        found.add(where, f"{error}; training has {_listed(mine)}; testing has {_listed(theirs)}")
        return None
    if mapping is None:
        return None
    unknown = [name for name in theirs if name not in mine]
    missing = [name for name in mine if name not in theirs]
    if kind == "thing_classes":
        unknown = _with_objects(unknown, theirs, test_loader, nothing_shared=len(missing) == len(mine))
    elif missing:
        unknown = unknown or [f"(not {name})" for name in missing]
    if unknown:
        if training:
            source = "dataloader.train.dataset does not have"
            remedy = "give both data sets the same names (their order may differ), or evaluate nothing: "
            remedy += "dataloader.test=None dataloader.evaluator=None"
        else:
            source = "the model was not trained on"
            remedy = "give the classes of the data the names that training has (their order may differ), "
            remedy += "or evaluate weights that were trained on these"
        found.add(
            where,
            f"it has {_listed(unknown)}, which {source}: nothing could find "
            f"these. Training has {len(mine)} ({_listed(mine)}), testing {len(theirs)} ({_listed(theirs)})",
            remedy,
        )
        return None
    noun = _KINDS[kind]
    if missing:
        told = (
            f"the test data has only some of the {noun} of the training data, which are matched by name; not "
            f"evaluated, because the test data does not have them: {_listed(missing)}"
        )
    elif len(mine) == len(theirs):
        told = f"the test data lists the {noun} of the training data in another order; matched by name"
    else:
        others = [name for name in theirs if name not in mine]
        told = (
            f"the test data also lists {noun} that the training data does not have, and has no object of "
            f"them: {_listed(others)}; the others are matched by name"
        )
    found.remark(told)
    return mapping


def _with_objects(
    unknown: Sequence[str], theirs: Sequence[str], test_loader: Any, *, nothing_shared: bool
) -> list[str]:
    """Return those of the names that stand for objects: the others make no difference to an evaluation."""
    records = records_of(test_loader)
    if not unknown or records is None or nothing_shared:
        return list(unknown)
    counts = summarize(records).per_class
    return [name for name in unknown if counts[theirs.index(name)]]
