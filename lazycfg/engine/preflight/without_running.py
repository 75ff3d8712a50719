"""What `lazycfg check` looks at: all of a run that can be known without training, and, if asked, its data."""

import numpy as np
import torch

from lazycfg.config.tree.node import Node, raw_get
from lazycfg.data import DatasetMapper
from lazycfg.data.transforms import apply_augmentations

from ..build import Parts, build_at, build_without_data, read_settings
from ..problems import SettingsError, problem_of
from ..settings import TrainSettings
from .findings import Findings
from .looking import stored
from .names import name_problems, name_remarks, repeated_calls
from .parts import schedule_problem
from .run import check_written, compare
from .trial import check_images
from .weights import check_initial_weights

__all__ = ["check_job", "size_of_test_images"]

_PARTS = ("model", "dataloader", "optimizer")


def check_job(
    cfg: Node, *, build: bool = True, data: bool = False, sound: bool = True
) -> tuple[Findings, Parts | None]:
    """Look at a run without beginning it.

    Args:
        cfg: of the run; its calls have been checked.
        build: build model, optimizer and schedule, without memory.
        data: build the data sets too, compare them with the model and read some of their images.
        sound: whether nothing was wrong with the calls; else nothing is built.

    Returns:
        what was found; and what was built, on the meta device, None where the model cannot be built: that is
        not among what was found.
    """
    found = Findings(cfg=cfg)
    found.problems += name_problems(cfg)
    found.remarks += [*name_remarks(cfg), *repeated_calls(cfg)]
    settings = _settings(cfg, found)
    check_written(cfg, found)
    _missing(cfg, found)
    parts = _built(cfg, found) if build and sound else None
    check_initial_weights(settings, found)
    if data and parts is not None:
        _with_data(cfg, parts, settings, found)
    elif dict.get(cfg, "dataloader") is not None:
        why = "--data looks at that too"
        if data:
            why = "because of --no-build" if sound and not build else "because of the problems above"
        found.unjudged(f"the data, and whether model and evaluation fit it: {why}")
    found.unjudged("whether samples go through model and evaluation: a run tries that before its first step")
    return found, parts


def _settings(cfg: Node, found: Findings) -> TrainSettings:
    try:
        return read_settings(cfg)
    except SettingsError as error:
        found.add_error(error, "train")
        return TrainSettings()


def size_of_test_images(cfg: Node) -> tuple[int, int] | None:
    """Return (height, width) that the test mapper of a config gives an image whose sides are as 3 to 5: 800 x
    1333 where the shorter side becomes 800. None where that depends on the data, or is not known without it.
    """
    mapper = stored(cfg, "dataloader.test.mapper")
    if not isinstance(mapper, Node) or raw_get(mapper, "_target_") is not DatasetMapper:
        return None
    path = "dataloader.test.mapper.augmentations"
    try:
        augmentations = build_at(cfg, [path])[path]
        images = [np.zeros((480 * factor, 800 * factor, 3), np.uint8) for factor in (1, 2)]
        sizes = {
            apply_augmentations(augmentations, image, np.random.default_rng(0))[0].shape[:2]
            for image in images
        }
    except Exception:  # whatever augmentations of the user's raise; a run tells it
        return None
    if len(sizes) != 1:
        return None
    height, width = sizes.pop()
    return height, width


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
