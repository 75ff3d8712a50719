"""From a config to the parts of a job."""

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Optimizer

from lazycfg.config.build import instantiate
from lazycfg.config.call import LazyCall
from lazycfg.config.node import Node, is_call
from lazycfg.config.signature import node_signature
from lazycfg.solver import get_default_optimizer_params
from lazycfg.utils import closest

__all__ = ["Parts", "build_parts"]

logger = logging.getLogger(__name__)


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
    clip_grad: Any = None


def build_parts(cfg: Mapping[str, Any], *, training: bool, model: nn.Module | None = None) -> Parts:
    """Build what a job needs, each shared node once: a data set that the model, the test loader and the
    evaluator share is read one time.

    Args:
        cfg: with ``model``, ``dataloader.train``, ``optimizer``, ``lr_multiplier``, ``train`` for training,
            and ``model``, ``dataloader.test``, ``dataloader.evaluator`` for evaluation.
        training: which of the two.
        model: take this one instead of building ``cfg.model``.

    Raises:
        KeyError: a part is not in the config.
    """
    wanted: dict[str, Any] = {"model": _part(cfg, "model") if model is None else model}
    loaders = cfg.get("dataloader", {})
    for name, key in (("test", "test_loader"), ("evaluator", "evaluator")):
        if not training:
            wanted[key] = _part(loaders, name, "dataloader.")
        elif loaders.get(name) is not None:
            wanted[key] = loaders[name]
    optimizer: Any = None
    if training:
        wanted["train_loader"] = _part(loaders, "train", "dataloader.")
        wanted["lr_multiplier"] = cfg.get("lr_multiplier")
        wanted["hooks"] = cfg["train"].get("hooks", ())
        wanted["clip_grad"] = cfg["train"].get("clip_grad")
        optimizer = _part(cfg, "optimizer")
        if not _lacks_model(optimizer):
            wanted["optimizer"] = optimizer
    built: dict[str, Any] = dict(instantiate(wanted))
    if training and "optimizer" not in built:
        built["optimizer"] = instantiate(_with_model(optimizer, built["model"]))
    return Parts(**built)


def _part(cfg: Mapping[str, Any], name: str, prefix: str = "") -> Any:
    if name not in cfg:
        keys = [str(key) for key in cfg]
        raise KeyError(
            f"the config has no {prefix}{name}{closest(name, keys)}; it has {', '.join(keys) or 'nothing'}"
        )
    return cfg[name]


def _lacks_model(optimizer: Any) -> bool:
    """Whether the parameters of the optimizer are still to be taken from the model."""
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
    """A copy of the optimizer's node over the parameters of a model; the config stays as it is."""
    result = copy.copy(optimizer)
    params = result.get("params")
    params = LazyCall(get_default_optimizer_params)() if params is None else copy.copy(params)
    params["model"] = model
    result["params"] = params
    return result
