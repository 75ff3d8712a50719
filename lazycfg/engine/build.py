"""Building the parts of a job (model, loaders, optimizer, ...) from a config, each shared node once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.optim import Optimizer

from lazycfg.config.building.build import instantiate
from lazycfg.config.building.check import check
from lazycfg.config.signatures.binding import node_signature
from lazycfg.config.tree.access import subset
from lazycfg.config.tree.node import Node, is_call, to_nodes
from lazycfg.config.tree.parents import overlay
from lazycfg.solver import get_default_optimizer_params
from lazycfg.utils import closest

from .class_mapping import ClassMapping
from .from_data import calls_on_data
from .preflight.classes import compare_with_model
from .preflight.findings import Findings
from .settings import SettingsError, TrainSettings

__all__ = [
    "Parts",
    "as_config",
    "build_at",
    "build_parts",
    "build_without_data",
    "check_parts",
    "errors_of_parts",
    "read_settings",
]


@dataclass
class Parts:
    """What a config describes, built."""

    model: nn.Module
    optimizer: Optimizer | None = None
    lr_multiplier: Any = None
    train_loader: Any = None
    test_loader: Any = None
    evaluator: Any = None
    hooks: Any = ()
    writers: Any = ()
    clip_grad: Any = None
    from_data: list[tuple[Node, Any]] = field(default_factory=list)
    """What was asked of data sets: the calls, and what they gave (see `with_values`)."""
    class_mapping: ClassMapping | None = None
    """From the classes of the model to those of the test data, where these differ."""


# Which field of Parts stands where in a config
_PATHS = {
    "model": "model",
    "optimizer": "optimizer",
    "lr_multiplier": "lr_multiplier",
    "train_loader": "dataloader.train",
    "test_loader": "dataloader.test",
    "evaluator": "dataloader.evaluator",
    "hooks": "train.hooks",
    "writers": "train.writers",
    "clip_grad": "train.clip_grad",
}
_TO_TRAIN = ("model", "train_loader", "optimizer")
_WITHOUT_DATA = ("model", "optimizer", "lr_multiplier", "clip_grad")
_TO_EVALUATE = ("model", "test_loader", "evaluator")
_ASKED = "_asked_of_data_"


def as_config(cfg: Mapping[str, Any]) -> Node:
    """Return a config as a node, whatever kind of mapping it is.

    Raises:
        TypeError: it is no mapping
    """
    if isinstance(cfg, Node):
        return cfg
    if not isinstance(cfg, Mapping):
        raise TypeError(f"a config is a dict of parts (model, dataloader, ...), got {type(cfg).__name__}")
    node: Node = to_nodes(dict(cfg))
    return node


def build_parts(
    cfg: Node, *, training: bool, model: nn.Module | None = None, check_classes: bool = True
) -> Parts:
    """Build what a job needs, each shared node once: a data set that the model, the test loader and the
    evaluator share is read one time. Everything is checked before anything is built; the config stays as it
    is.

    Args:
        cfg: with ``model``, ``dataloader.train``, ``optimizer`` for training (the rest is optional), and
            ``model``, ``dataloader.test``, ``dataloader.evaluator`` for evaluation.
        training: which of the two.
        model: take this one instead of building ``cfg.model``.
        check_classes: for training, whether the model must tell as many classes apart as the data has.

    Raises:
        SettingsError: a part is not in the config.
        PreflightError: the classes of model and data do not fit.
        CheckError: all that is wrong with the parts.
    """
    root, names, over_model = _prepare(cfg, training=training, model=model)
    calls = calls_on_data(root)
    root[_ASKED] = calls  # built with the parts, and so once
    built = build_at(
        root, [*(_PATHS[name] for name in names if not (over_model and name == "optimizer")), _ASKED]
    )
    answers = built.pop(_ASKED)
    if over_model:
        root["optimizer"] = _with_model(root["optimizer"], built["model"])
        built.update(build_at(root, ["optimizer"]))
    parts = Parts(
        **{name: built[_PATHS[name]] for name in names}, from_data=list(zip(calls, answers, strict=True))
    )
    if training and check_classes:
        found = Findings(cfg=cfg)
        extra = bool(_find(cfg, "train.extra_classes"))
        compare_with_model(cfg, parts.model, parts.train_loader, found, split="train", extra_classes=extra)
        found.raise_problems()
    return parts


def build_without_data(cfg: Node) -> Parts:
    """Build what needs no data, on the device that torch builds on: model, optimizer, schedule, clipping.

    Raises:
        Exception: whatever a part raises, with the config path in a note.
    """
    root = overlay(cfg)
    names = [name for name in _WITHOUT_DATA if _find(root, _PATHS[name]) is not None]
    over_model = "optimizer" in names and _lacks_model(root["optimizer"])
    if over_model:
        names.remove("optimizer")
    built = build_at(root, [_PATHS[name] for name in names])
    if over_model:
        root["optimizer"] = _with_model(root["optimizer"], built["model"])
        built.update(build_at(root, ["optimizer"]))
        names.append("optimizer")
    return Parts(**{name: built[_PATHS[name]] for name in names})


def check_parts(cfg: Node, *, training: bool, model: nn.Module | None = None) -> None:
    """Check what `build_parts` would build, and build nothing.

    Raises:
        SettingsError, CheckError: as `build_parts`.
    """
    _prepare(cfg, training=training, model=model)


def errors_of_parts(cfg: Node, *, training: bool, model: nn.Module | None = None) -> list[Exception]:
    """Build every part by itself and return what each raised, for when they cannot be built together."""
    root, names, over_model = _prepare(cfg, training=training, model=model)
    errors = []
    for name in names:
        try:
            built = build_at(root, [_PATHS[name]])
            if name == "model" and over_model:
                root["optimizer"] = _with_model(root["optimizer"], built["model"])
        except Exception as error:  # whatever a part of the user's raises
            errors.append(error)
            if name == "model":
                root["optimizer"] = None  # it cannot be without the model
    return errors


def _prepare(cfg: Node, *, training: bool, model: nn.Module | None) -> tuple[Node, list[str], bool]:
    """Return the config with the model given, its parts, and whether its optimizer lacks the model."""
    root = overlay(cfg)
    if model is not None:
        root["model"] = model
    needed = _TO_TRAIN if training else _TO_EVALUATE
    for name in needed:
        _require(root, _PATHS[name])
    names = [name for name in (_PATHS if training else needed) if _find(root, _PATHS[name]) is not None]
    over_model = training and _lacks_model(root["optimizer"])
    if over_model:
        root["optimizer"] = _with_model(root["optimizer"], nn.Identity())
    check(subset(root, [_PATHS[name] for name in names]))
    return root, names, over_model


def build_at(cfg: Node, paths: Sequence[str]) -> dict[str, Any]:
    """Build what stands at some paths of a config, together: what they share is built once.

    Returns:
        what was built, by path.
    """
    built = instantiate(subset(cfg, paths))
    return {path: _find(built, path) for path in paths}


# Built together with the model, since their nodes may refer to it
_PARTS_OF_TRAIN = ("hooks", "writers", "clip_grad")


def read_settings(cfg: Node) -> TrainSettings:
    """Return the settings of ``cfg.train``, but for what is built with the model (hooks, writers, clipping).

    Raises:
        SettingsError: an unknown key or a senseless value.
    """
    keys = [key for key in cfg.get("train", {}) if key not in _PARTS_OF_TRAIN]
    built = build_at(cfg, [f"train.{key}" for key in keys])
    return TrainSettings.of({key: built[f"train.{key}"] for key in keys})


def _find(cfg: Mapping[str, Any], path: str) -> Any:
    value: Any = cfg
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _require(cfg: Mapping[str, Any], path: str) -> None:
    value: Any = cfg
    walked = ""
    for key in path.split("."):
        if not isinstance(value, Mapping) or value.get(key) is None:
            keys = [str(key) for key in value] if isinstance(value, Mapping) else []
            if key in keys:
                raise SettingsError(f"the config has no {path}: {walked}{key} is None")
            has = f"{walked.rstrip('.') or 'it'} has {', '.join(keys) or 'nothing'}"
            raise SettingsError(f"the config has no {path}{closest(key, keys)}; {has}")
        value = value[key]
        walked += f"{key}."


def _lacks_model(optimizer: Any) -> bool:
    """Return whether the parameters of the optimizer are still to be taken from the model."""
    if not is_call(optimizer):
        return False
    params = optimizer.get("params")
    if params is None:
        return True
    if not is_call(params) or params.get("model") is not None:
        return False
    signature = node_signature(params)
    return signature is not None and "model" in signature.names


def _with_model(optimizer: Node, model: nn.Module) -> Node:
    """Return a copy of the optimizer's node over the parameters of a model."""
    result = overlay(optimizer)
    params = result.get("params")
    if params is None:
        params = Node(_target_=get_default_optimizer_params)
    params = overlay(params)
    params["model"] = model
    result["params"] = params
    return result
