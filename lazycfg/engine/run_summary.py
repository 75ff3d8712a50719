"""What a run is about to do, said before it starts."""

import logging
from typing import Any

import torch
from torch import nn

from lazycfg.utils import counted, get_world_size

from .build import Parts
from .settings import TrainSettings

__all__ = ["describe_data", "describe_model", "log_run_summary"]

logger = logging.getLogger(__name__)


def log_run_summary(parts: Parts, settings: TrainSettings, device: torch.device) -> None:
    """Log model size, data sets and classes, device, precision, length and where things go."""
    model = describe_model(parts.model)
    total, trained = _m(model["parameters"]), _m(model["trained"])
    logger.info("model: %s, %s parameters, %s of them trained", model["kind"], total, trained)
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


def describe_model(model: nn.Module) -> dict[str, Any]:
    """Return "kind", and the numbers of "parameters" and of those "trained"."""
    return {
        "kind": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }


def describe_data(loader: Any) -> dict[str, Any]:
    """Return "name", and what is known of "images", "classes" (names), "stuff_classes" and "batch_size"."""
    dataset = getattr(loader, "dataset", None)
    metadata = getattr(dataset, "metadata", None)
    records = getattr(dataset, "dataset", dataset)  # below the mapper
    name = getattr(metadata, "name", "") or type(loader if records is None else records).__name__
    return {
        "name": str(name),
        "images": len(dataset) if dataset is not None and hasattr(dataset, "__len__") else None,
        "classes": [str(each) for each in getattr(metadata, "thing_classes", None) or ()],
        "stuff_classes": [str(each) for each in getattr(metadata, "stuff_classes", None) or ()],
        "batch_size": getattr(loader, "total_batch_size", None) or getattr(loader, "batch_size", None),
    }


def _describe(loader: Any) -> str:
    about = describe_data(loader)
    parts = [about["name"]]
    if about["images"] is not None:
        parts.append(counted(about["images"], "image"))
    if classes := about["classes"]:
        shown = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
        parts.append(f"{counted(len(classes), 'class')} ({shown})")
    if about["batch_size"]:
        parts.append(f"batches of {about['batch_size']}")
    return ", ".join(parts)
