"""Lazy configs with the answers of OmegaConf that old programs count on."""

from __future__ import annotations

from typing import Any

from lazycfg.config import LazyCall as LazyCall
from lazycfg.config import LazyConfig as LazyConfig
from lazycfg.config import dump_dataclass as dump_dataclass
from lazycfg.config import from_omegaconf
from lazycfg.config import instantiate as _instantiate
from lazycfg.config.tree.node import Node

__all__ = ["LazyCall", "LazyConfig", "dump_dataclass", "instantiate"]


def instantiate(cfg: Any) -> Any:
    """Build what a config describes: a node, a plain dict or an OmegaConf config with ``_target_``, a list.

    What describes nothing is returned as it is.
    """
    if isinstance(cfg, Node):
        return _instantiate(cfg) if "_target_" in cfg else cfg
    if type(cfg).__module__.startswith("omegaconf."):
        if type(cfg).__name__ == "DictConfig" and "_target_" not in cfg:
            return cfg
        return _instantiate(from_omegaconf(cfg))
    if isinstance(cfg, dict):
        if "_target_" not in cfg:
            return cfg
        arguments = {key: instantiate(value) for key, value in cfg.items() if key != "_target_"}
        target = cfg["_target_"]
        if isinstance(target, str):
            from .registry import locate

            target = locate(target)
        return target(**arguments)
    if isinstance(cfg, list):
        return [instantiate(value) for value in cfg]
    return _instantiate(cfg)
