"""From the keys of detectron2 to a config of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lazycfg.config import Node
from lazycfg.convert.fitting import pruned
from lazycfg.convert.result import ConvertError
from lazycfg.convert.writing import Part
from lazycfg.convert.yacs.bases import candidates, fitted
from lazycfg.convert.yacs.data import build_dataloader
from lazycfg.convert.yacs.densepose_data import with_teacher
from lazycfg.convert.yacs.keys import Keys, all_of
from lazycfg.convert.yacs.models import build_model
from lazycfg.convert.yacs.remarks import remarks_of
from lazycfg.convert.yacs.solver import build_lr_multiplier, build_optimizer, train_settings

__all__ = ["Translation", "translate", "translate_all", "translated"]


@dataclass(frozen=True)
class Translation:
    """What the keys of a config become.

    Attributes:
        config: with the keys `dataloader`, `lr_multiplier`, `model`, `optimizer` and `train`.
        parts: how each is written.
        remarks: what a user should know of it, a sentence each.
        spellings: of numbers that are the result of a calculation.
    """

    config: Node
    parts: tuple[Part, ...]
    remarks: tuple[str, ...]
    spellings: Mapping[float, str]


def translate(
    keys: Mapping[str, Any], datasets: Mapping[str, Any] | None = None, ignore: Sequence[str] = ()
) -> Node:
    """Return the config that builds the model, data, optimizer and schedule of keys of detectron2.

    Args:
        keys: nested mappings, as `read_yaml` gives them; keys that are not there have their defaults.
        datasets: nodes of data sets by name, beside those that detectron2 knows.
        ignore: keys or sections of a program's own to leave out, with wildcards: ``MODEL.MINE.*``.

    Returns:
        a config with `dataloader`, `lr_multiplier`, `model`, `optimizer` and `train`.

    Raises:
        ConvertError: keys or names are not known, or values do not go together; the message names the keys.
    """
    return translate_all(keys, datasets or {}, ignore=ignore).config


def translate_all(
    given: Mapping[str, Any],
    datasets: Mapping[str, Any],
    source: str = "",
    places: Mapping[str, str] | None = None,
    ignore: Sequence[str] = (),
) -> Translation:
    """Return what nested keys become, with how it is written and what is to be said.

    Args:
        given: the keys.
        datasets: nodes of data sets by name, beside those that detectron2 knows.
        source, places: of the keys, for messages.
        ignore: keys or sections of a program's own to leave out.

    Raises:
        ConvertError: all keys and names that are not known, or the values that do not go together.
    """
    mistakes: list[ConvertError] = []
    keys: Keys | None = None
    while True:
        try:
            keys = keys or Keys(given, source, places, ignore)
            found = translated(keys, datasets)
            break
        except ConvertError as error:
            rest = getattr(error, "rest", None)
            if rest is not None or not mistakes:  # with other names in their places, values may not fit
                mistakes.append(error)
            if rest is None:
                break
            keys = rest
    if mistakes:
        raise all_of(mistakes) from None
    return found


def translated(keys: Keys, datasets: Mapping[str, Any]) -> Translation:
    """Return what keys become. Raises ConvertError for the first thing that is wrong."""
    remarks: list[str] = []
    want = pruned(
        Node(
            model=build_model(keys),
            dataloader=build_dataloader(keys, datasets, remarks),
            optimizer=build_optimizer(keys),
            lr_multiplier=build_lr_multiplier(keys),
            train=train_settings(keys),
        )
    )
    have = Node()
    parts = []
    for key, choices in candidates(keys).items():
        if key == "dataloader":
            with_teacher(want.dataloader, have.model)
        parts.append(fitted(have, want, key, choices))
    remarks += remarks_of(keys)
    warmup, steps = keys("SOLVER.WARMUP_ITERS"), keys("SOLVER.MAX_ITER")
    return Translation(
        config=have,
        parts=tuple(parts),
        remarks=tuple(remarks),
        spellings={warmup / steps: f"{warmup} / {steps}"} if warmup % steps else {},
    )
