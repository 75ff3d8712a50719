"""What a run is about to do, said before it starts."""

import logging
from typing import Any

import torch

from lazycfg.utils import get_world_size

from .build import Parts
from .settings import TrainSettings

__all__ = ["log_run_summary"]

logger = logging.getLogger(__name__)


def log_run_summary(parts: Parts, settings: TrainSettings, device: torch.device) -> None:
    """Log model size, data sets and classes, device, precision, length and where things go."""
    total = sum(p.numel() for p in parts.model.parameters())
    trained = sum(p.numel() for p in parts.model.parameters() if p.requires_grad)
    logger.info(
        "model: %s, %s parameters, %s of them trained", type(parts.model).__name__, _m(total), _m(trained)
    )
    for name, loader in (("training", parts.train_loader), ("test", parts.test_loader)):
        if loader is not None:
            logger.info("%s data: %s", name, _describe(loader))
    dtype = settings.amp.autocast_dtype()
    precision = f"autocast to {dtype}".replace("torch.", "") if dtype else "full precision"
    steps = f"{settings.max_iter} iterations"
    if settings.accumulate > 1:
        steps += f" of {settings.accumulate} batches"
    processes = f"{get_world_size()} processes" if get_world_size() > 1 else "one process"
    logger.info("%s on %s, %s, %s, into %s", steps, device, processes, precision, settings.output_dir)


def _m(count: int) -> str:
    return f"{count / 1e6:.1f}M" if count >= 100_000 else str(count)


def _describe(loader: Any) -> str:
    dataset = getattr(loader, "dataset", None)
    metadata = getattr(dataset, "metadata", None)
    records = getattr(dataset, "dataset", dataset)  # below the mapper
    parts = [str(getattr(metadata, "name", "") or type(loader if records is None else records).__name__)]
    if dataset is not None and hasattr(dataset, "__len__"):
        parts.append(f"{len(dataset)} images")
    classes = list(getattr(metadata, "thing_classes", None) or ())
    if classes:
        shown = ", ".join(map(str, classes[:10])) + (", ..." if len(classes) > 10 else "")
        parts.append(f"{len(classes)} classes ({shown})")
    batch_size = getattr(loader, "total_batch_size", None) or getattr(loader, "batch_size", None)
    if batch_size:
        parts.append(f"batches of {batch_size}")
    return ", ".join(parts)
