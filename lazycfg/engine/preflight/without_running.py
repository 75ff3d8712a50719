"""What `lazycfg check` looks at: all of a run that can be known without training, and, if asked, its data."""

import torch

from lazycfg.config.tree.node import Node

from ..build import Parts, build_at, build_without_data, read_settings
from ..problems import SettingsError, problem_of
from ..settings import TrainSettings
from .findings import Findings
from .names import name_problems, name_remarks, repeated_calls
from .parts import schedule_problem
from .run import check_written, compare
from .trial import check_images

__all__ = ["check_job"]

_PARTS = ("model", "dataloader", "optimizer")


def check_job(cfg: Node, *, build: bool = True, data: bool = False) -> tuple[Findings, Parts | None]:
    """Look at a run without beginning it.

    Args:
        cfg: of the run; its calls have been checked.
        build: build model, optimizer and schedule, without memory.
        data: build the data sets too, compare them with the model and read some of their images.

    Returns:
        what was found; and what was built, on the meta device, None where the model cannot be built: that is
        not among what was found.
    """
    found = Findings()
    found.problems += name_problems(cfg)
    found.remarks += [*name_remarks(cfg), *repeated_calls(cfg)]
    settings = _settings(cfg, found)
    check_written(cfg, found)
    _missing(cfg, found)
    parts = _built(cfg, found) if build else None
    if data and parts is not None:
        _with_data(cfg, parts, settings, found)
    elif dict.get(cfg, "dataloader") is not None:
        found.unjudged("the data, and whether model and evaluation fit it: --data looks at that too")
    found.unjudged("whether samples go through model and evaluation: a run tries that before its first step")
    return found, parts


def _settings(cfg: Node, found: Findings) -> TrainSettings:
    try:
        return read_settings(cfg)
    except SettingsError as error:
        found.add_error(error, "train")
        return TrainSettings()


def _missing(cfg: Node, found: Findings) -> None:
    for name in _PARTS:
        if name not in cfg:
            found.unjudged(f"a training: the config has no {name}")
        elif dict.get(cfg, name) is None:
            found.add(name, "it is None: a training needs one")


def _built(cfg: Node, found: Findings) -> Parts | None:
    try:
        with torch.device("meta"):
            parts = build_without_data(cfg)
    except Exception as error:  # whatever a part of the user's raises
        if problem_of(error).where.split(".")[0] == "model":
            return None  # who builds it next tells
        found.add_error(error)
        try:
            with torch.device("meta"):
                return Parts(model=build_at(cfg, ["model"])["model"])
        except Exception:  # told above
            return None
    written = dict.get(cfg, "lr_multiplier")
    if not isinstance(written, int | float) and (said := schedule_problem(parts.lr_multiplier)) is not None:
        found.add("lr_multiplier", *said)
    return parts


def _with_data(cfg: Node, parts: Parts, settings: TrainSettings, found: Findings) -> None:
    loaders = cfg["dataloader"]
    names = [name for name in ("train", "test", "evaluator") if loaders.get(name) is not None]
    try:
        built = build_at(cfg, [f"dataloader.{name}" for name in names])
    except Exception as error:  # whatever a data set of the user's raises
        found.add_error(error, "dataloader")
        return
    parts.train_loader = built.get("dataloader.train")
    parts.test_loader = built.get("dataloader.test")
    parts.evaluator = built.get("dataloader.evaluator")
    training = parts.train_loader is not None and parts.optimizer is not None
    compare(cfg, parts, settings, found, training=training)
    for split, loader in (("train", parts.train_loader), ("test", parts.test_loader)):
        if loader is not None:
            check_images(loader, split, parts.model, found)
