"""Arguments, set-up and start of old training scripts."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from lazycfg.config.tree.node import Node
from lazycfg.engine.distributed import create_ddp_model as _ddp
from lazycfg.engine.distributed import leave_process_group
from lazycfg.engine.launch import free_port
from lazycfg.utils import get_rank, get_world_size, is_main_process
from lazycfg.utils.collect_env import collect_env_info

from .config import CfgNode
from .events import CommonMetricPrinter, EventWriter, JSONWriter, TensorboardXWriter
from .files import PathManager
from .lazy import LazyConfig
from .logger import setup_logger
from .small import seed_all_rng

__all__ = [
    "DEFAULT_TIMEOUT",
    "create_ddp_model",
    "default_argument_parser",
    "default_setup",
    "default_writers",
    "launch",
]

DEFAULT_TIMEOUT = timedelta(minutes=30)


def default_argument_parser(epilog: str | None = None) -> argparse.ArgumentParser:
    """Return a parser of the arguments that training scripts take."""
    parser = argparse.ArgumentParser(
        epilog=epilog or f"Example: {sys.argv[0]} --num-gpus 8 --config-file cfg.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config-file", default="", metavar="FILE", help="path to config file")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint of OUTPUT_DIR")
    parser.add_argument("--eval-only", action="store_true", help="perform evaluation only")
    parser.add_argument("--num-gpus", type=int, default=1, help="number of gpus *per machine*")
    parser.add_argument("--num-machines", type=int, default=1, help="total number of machines")
    parser.add_argument("--machine-rank", type=int, default=0, help="the rank of this machine")
    port = 2**15 + 2**14 + hash(os.getuid() if sys.platform != "win32" else 1) % 2**14
    parser.add_argument("--dist-url", default=f"tcp://127.0.0.1:{port}", help="where the processes meet")
    parser.add_argument(
        "opts",
        default=None,
        nargs=argparse.REMAINDER,
        help="changes of the config: KEY VALUE (yacs), or key=value",
    )
    return parser


def _try_get_key(cfg: Any, *keys: str, default: Any = None) -> Any:
    """Return the value of the first of some dotted keys that a config has."""
    for key in keys:
        value: Any = cfg
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            return value
    return default


def _highlight(code: str, filename: str) -> str:
    """Return a text as it is: it is not coloured."""
    return code


def default_setup(cfg: Any, args: Any) -> None:
    """Prepare a job: the folder of its output, the log, the config in it, seeds.

    Args:
        cfg: a `CfgNode`, or a lazy config.
    """
    output_dir = _try_get_key(cfg, "OUTPUT_DIR", "output_dir", "train.output_dir")
    if is_main_process() and output_dir:
        PathManager.mkdirs(output_dir)
    rank = get_rank()
    logger = setup_logger(output_dir, distributed_rank=rank)
    logger.info("Rank of current process: %d. World size: %d", rank, get_world_size())
    logger.info("Environment info:\n%s", collect_env_info())
    logger.info("Command line arguments: %s", args)
    file = getattr(args, "config_file", "")
    if file:
        logger.info(
            "Contents of args.config_file=%s:\n%s", file, Path(PathManager.get_local_path(file)).read_text()
        )
    if is_main_process() and output_dir:
        path = os.path.join(output_dir, "config.yaml")
        if isinstance(cfg, CfgNode):
            Path(path).write_text(cfg.dump(), encoding="utf-8")
        elif isinstance(cfg, Node):
            LazyConfig.save(cfg, path)
        logger.info("Full config saved to %s", path)
    precision = _try_get_key(cfg, "FLOAT32_PRECISION", "train.float32_precision", default="")
    if precision:
        torch.set_float32_matmul_precision(precision)
        logger.info("Float32 precision of matrix products: %s", precision)
    seed = _try_get_key(cfg, "SEED", "train.seed", default=-1)
    seed_all_rng(None if seed < 0 else seed + rank)
    if not getattr(args, "eval_only", False):
        torch.backends.cudnn.benchmark = bool(
            _try_get_key(cfg, "CUDNN_BENCHMARK", "train.cudnn_benchmark", default=False)
        )


def default_writers(output_dir: str, max_iter: int | None = None) -> list[EventWriter]:
    """Return writers to the log, to ``metrics.json`` and, where TensorBoard is installed, for it."""
    PathManager.mkdirs(output_dir)
    writers: list[Any] = [
        CommonMetricPrinter(max_iter),
        JSONWriter(os.path.join(output_dir, "metrics.json")),
    ]
    try:
        writers.append(TensorboardXWriter(output_dir))
    except ImportError:
        logging.getLogger(__name__).info("no TensorBoard: pip install 'lazycfg[tensorboard]'")
    return writers


def create_ddp_model(model: nn.Module, *, fp16_compression: bool = False, **kwargs: Any) -> nn.Module:
    """Return the model wrapped for several processes, if there are several."""
    return _ddp(model, fp16_compression=fp16_compression, **kwargs)


def launch(
    main_func: Callable[..., Any],
    num_gpus_per_machine: int,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str | None = None,
    args: tuple[Any, ...] = (),
    timeout: timedelta = DEFAULT_TIMEOUT,
) -> None:
    """Call a function in this process, or in as many new ones as there are GPUs to be used.

    Args:
        dist_url: where the processes meet, such as ``tcp://127.0.0.1:23456``; "auto" on one machine.

    Raises:
        ValueError: several machines need a `dist_url` that all can reach.
    """
    world_size = num_machines * num_gpus_per_machine
    if world_size <= 1:
        main_func(*args)
        return
    if dist_url in (None, "auto"):
        if num_machines > 1:
            raise ValueError("dist_url='auto' is not supported for several machines: give tcp://HOST:PORT")
        dist_url = f"tcp://127.0.0.1:{free_port()}"
    torch.multiprocessing.start_processes(
        _worker,
        nprocs=num_gpus_per_machine,
        args=(main_func, world_size, num_gpus_per_machine, machine_rank, dist_url, args, timeout),
        start_method="spawn",
        daemon=False,
    )


def _worker(
    local_rank: int,
    main_func: Callable[..., Any],
    world_size: int,
    num_gpus: int,
    machine_rank: int,
    dist_url: str,
    args: tuple[Any, ...],
    timeout: timedelta,
) -> None:
    rank = machine_rank * num_gpus + local_rank
    os.environ |= {
        "LOCAL_RANK": str(local_rank),
        "RANK": str(rank),
        "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": str(num_gpus),
    }
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(local_rank)
    dist.init_process_group(
        backend="nccl" if has_gpu else "gloo",
        init_method=dist_url,
        world_size=world_size,
        rank=rank,
        timeout=timeout,
    )
    try:
        main_func(*args)
    finally:
        leave_process_group()
