"""Small things of many modules of detectron2."""

from __future__ import annotations

import importlib.util
import logging
import os
import pickle
import random
import sys
from datetime import datetime
from typing import Any

import cloudpickle
import numpy as np
import torch
from torch import nn

from lazycfg.structures import Boxes
from lazycfg.utils.analysis import activation_count_operators as activation_count_operators
from lazycfg.utils.analysis import count_operators
from lazycfg.utils.analysis import find_unused_parameters as find_unused_parameters
from lazycfg.utils.analysis import flop_count_operators as flop_count_operators
from lazycfg.utils.analysis import parameter_count as parameter_count
from lazycfg.utils.analysis import parameter_count_table as parameter_count_table
from lazycfg.utils.collect_env import collect_env_info as collect_env_info
from lazycfg.utils.memory import retry_if_cuda_oom as retry_if_cuda_oom

logger = logging.getLogger(__name__)

TORCH_VERSION = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2] if part.isdigit())


def polygon_area(x: Any, y: Any) -> float:
    """Return the area of a polygon of corners (x, y)."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return float(0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))


# -- env


def seed_all_rng(seed: int | None = None) -> None:
    """Seed the global generators of Python, numpy and torch; None: by the clock and the process."""
    if seed is None:
        seed = os.getpid() + int(datetime.now().strftime("%S%f")) + int.from_bytes(os.urandom(2), "big")
        logger.info("Using a generated random seed %d", seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    random.seed(seed)
    os.environ["PYTHONHASHSEED"] = str(seed)


def _import_file(module_name: str, file_path: str, make_importable: bool = False) -> Any:
    """Return the module that a file is."""
    spec = importlib.util.spec_from_file_location(module_name, file_path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {file_path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if make_importable:
        sys.modules[module_name] = module
    return module


def setup_environment() -> None:
    """Do nothing: there is nothing to set up."""


def setup_custom_environment(custom_module: str) -> None:
    """Import a module, by its name or its file, and call its ``setup_environment``."""
    module = (
        _import_file("detectron2.utils.env.custom_module", custom_module)
        if custom_module.endswith(".py")
        else importlib.import_module(custom_module)
    )
    module.setup_environment()


def fixup_module_metadata(module_name: str, namespace: dict[str, Any], keys: Any = None) -> None:
    """Do nothing: what a module has keeps its name."""


def collect_torch_env() -> str:
    """Return what torch tells of its build."""
    return torch.__config__.show()


class PicklableWrapper:
    """Wraps an object so that it can be pickled although pickle cannot: local functions, lambdas."""

    def __init__(self, obj: Any) -> None:
        while isinstance(obj, PicklableWrapper):
            obj = obj._obj
        self._obj = obj

    def __reduce__(self) -> Any:
        return _unwrapped, (cloudpickle.dumps(self._obj),)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._obj(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "_obj":
            raise AttributeError(name)
        return getattr(self._obj, name)


def _unwrapped(content: bytes) -> Any:
    return pickle.loads(content)


# -- analysis


class FlopCountAnalysis:
    """Multiplications with additions of a run of a model, each pair counted as one."""

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        self._model, self._inputs = model, inputs

    def by_operator(self) -> dict[str, int]:
        """Return the numbers by operator."""
        return dict(count_operators(self._model, self._inputs).multiply_adds[""])

    def by_module(self) -> dict[str, int]:
        """Return the numbers by the name of the module, "" for the model."""
        counts = count_operators(self._model, self._inputs).multiply_adds
        return {name: sum(kinds.values()) for name, kinds in counts.items()}

    def total(self) -> int:
        """Return the number of all."""
        return sum(self.by_operator().values())


# -- tracing


def is_fx_tracing() -> bool:
    """Return whether torch.fx traces the code."""
    return bool(torch.fx._symbolic_trace.is_fx_tracing())


def assert_fx_safe(condition: bool, message: str) -> Any:
    """Raise AssertionError where a condition is not met, but while torch.fx traces."""
    if not is_fx_tracing() and not condition:
        raise AssertionError(message)


def check_if_torch_exportable() -> bool:
    """Return whether torch.export traces the code."""
    return bool(torch.compiler.is_exporting())


# -- testing


def get_model_no_weights(config_path: str) -> nn.Module:
    """Return the model of a config of the zoo on the CPU, without weights."""
    from .config import CfgNode
    from .registries import build_model
    from .zoo import get_config

    cfg = get_config(config_path)
    if isinstance(cfg, CfgNode):
        cfg.MODEL.DEVICE = "cpu"
        return build_model(cfg)
    from lazycfg.config import instantiate

    model: nn.Module = instantiate(cfg.model)
    return model


def random_boxes(num_boxes: int, max_coord: float = 100, device: str = "cpu") -> torch.Tensor:
    """Return random boxes (N, 4) within a square of a side."""
    boxes = torch.rand(num_boxes, 4, device=device) * (max_coord * 0.5)
    boxes.clamp_(min=1.0)
    boxes[:, 2:] += boxes[:, :2]
    return Boxes(boxes).tensor
