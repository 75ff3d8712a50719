"""Lazy configs with the answers of OmegaConf that old programs count on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lazycfg.config import LazyCall as LazyCall
from lazycfg.config import LazyConfig as _LazyConfig
from lazycfg.config import dump_dataclass as dump_dataclass
from lazycfg.config import from_omegaconf
from lazycfg.config import instantiate as _instantiate
from lazycfg.config.formats.document import SaveError
from lazycfg.config.tree.access import get_path
from lazycfg.config.tree.node import Node

from .logger import logger_of

__all__ = ["LazyCall", "LazyConfig", "dump_dataclass", "instantiate"]

logger = logger_of(__name__)


class LazyConfig(_LazyConfig):
    """`lazycfg.LazyConfig`; a config that cannot be kept does not end a program that only logs it."""

    @staticmethod
    def save(cfg: Any, filename: str | os.PathLike[str]) -> None:
        """Write a config to a file. If something in it cannot be kept, a warning says what, and the file is
        one to read only.
        """
        try:
            _LazyConfig.save(cfg, filename)
        except SaveError as error:
            logger.warning("%s can be read, but not loaded: %s", filename, error)
            Path(filename).write_text(_LazyConfig.to_log_yaml(cfg), encoding="utf-8")

    @staticmethod
    def to_py(cfg: Any, prefix: str = "cfg.") -> str:
        """Return a config as Python that can be run, which needs no prefix; as YAML to read if something in
        it cannot be kept.
        """
        try:
            return _LazyConfig.to_py(cfg)
        except SaveError as error:
            logger.warning("the config is shown as YAML: %s", error)
            return _LazyConfig.to_log_yaml(cfg)


def instantiate(cfg: Any) -> Any:
    """Build what a config describes: a node, a plain dict or an OmegaConf config with ``_target_``, a list.

    What describes nothing is returned as it is.
    """
    if isinstance(cfg, Node):
        return _instantiate(cfg) if "_target_" in cfg else cfg
    if type(cfg).__module__.startswith("omegaconf."):
        if type(cfg).__name__ == "DictConfig" and "_target_" not in cfg:
            return cfg
        path = cfg._get_full_key(None)  # of its root, where interpolations in it may lead
        whole = from_omegaconf(cfg._get_root())
        return _instantiate(get_path(whole, path) if path else whole)
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
