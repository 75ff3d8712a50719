"""``detectron2.model_zoo``: configs by the names of their files, YAML and Python, and published weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
import yaml

from lazycfg import model_zoo
from lazycfg.checkpoint import weights_cache
from lazycfg.config import instantiate
from lazycfg.utils import atomic_write, closest

from . import zoo_files
from .config import CfgNode, get_cfg

__all__ = ["get", "get_checkpoint_url", "get_config", "get_config_file"]

_OTHER_NAMES = {"common/coco_schedule.py": "common/schedules.py"}


def get_checkpoint_url(config_path: str) -> str:
    """Return the URL of the weights published for a config.

    Raises:
        RuntimeError: none were.
    """
    from lazycfg.checkpoint import CheckpointError

    try:
        return model_zoo.get_checkpoint_url(config_path)
    except CheckpointError as error:
        raise RuntimeError(str(error)) from None


def get_config_file(config_path: str) -> str:
    """Return the path of a config of the model zoo: of a YAML file, or of a file of ours for a Python one.

    Raises:
        RuntimeError: there is no such config.
    """
    if not config_path.endswith(".yaml"):
        try:
            return model_zoo.get_config_file(_OTHER_NAMES.get(config_path, config_path))
        except FileNotFoundError as error:
            raise RuntimeError(f"{config_path} not available in Model Zoo! {error}") from None
    content = zoo_files.contents(config_path)
    if content is None:
        raise RuntimeError(
            f"{config_path} not available in Model Zoo!{closest(config_path, zoo_files.names())}; the "
            "files of "
            "projects are not kept here: give the path of your own copy"
        )
    path = weights_cache().parent / "detectron2_configs" / config_path
    text = f"# What detectron2's {config_path} says, its bases included\n{_text(content)}"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            Path(partial).write_text(text, encoding="utf-8")
    return os.fspath(path)


def _text(content: dict[str, Any]) -> str:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return str(value) if isinstance(value, tuple) else value  # as the files write tuples

    return yaml.safe_dump(plain(content), default_flow_style=None, sort_keys=False, width=100)


def get_config(config_path: str, trained: bool = False) -> Any:
    """Return a config of the model zoo: a `CfgNode` of a YAML file, a lazy config of a Python one.

    The data sets of a lazy config are read by their names: ``cfg.dataloader.train.dataset.names``.

    Args:
        trained: with the URL of its published weights; else those that its training begins with.

    Raises:
        RuntimeError: there is no such config, or no weights for it.
    """
    if config_path.endswith(".yaml"):
        cfg: CfgNode = get_cfg()
        cfg.merge_from_file(get_config_file(config_path))
        if trained:
            cfg.MODEL.WEIGHTS = get_checkpoint_url(config_path)
        return cfg
    from lazycfg.config import LazyConfig

    from .data_by_name import name_datasets

    lazy = LazyConfig.load(get_config_file(config_path))
    if "dataloader" in lazy:
        name_datasets(lazy.dataloader)
    if trained:
        lazy.train.init_checkpoint = get_checkpoint_url(config_path)
    return lazy


def get(config_path: str, trained: bool = False, device: str | None = None) -> Any:
    """Return the model of a config, with its weights, in training mode as it was built.

    Args:
        device: to put it on; None: the GPU where there is one.
    """
    from .checkpoint import DetectionCheckpointer
    from .registries import build_model

    cfg = get_config(config_path, trained)
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if isinstance(cfg, CfgNode):
        cfg.MODEL.DEVICE = chosen
        model = build_model(cfg)
        DetectionCheckpointer(model).load(cfg.MODEL.WEIGHTS)
        return model
    model = instantiate(cfg.model).to(chosen)
    if cfg.train.init_checkpoint:
        DetectionCheckpointer(model).load(cfg.train.init_checkpoint)
    return model
