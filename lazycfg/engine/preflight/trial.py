"""A trial: a few samples go through data, model and evaluation, on copies, and leave nothing behind."""

import copy
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lazycfg.checkpoint import Stateful
from lazycfg.data import ImageError, MapDataset, TrainLoader
from lazycfg.evaluation import inference_context
from lazycfg.inspection.origins import explain_errors
from lazycfg.utils import EventStorage, closest

from ..build import Parts
from ..class_mapping import RenumberedClasses
from ..distributed import preserved_rng
from ..hooks import EarlyStopping, LateAugmentations
from ..hooks.evaluation import flatten_results
from ..settings import TrainSettings
from ..trainer import sum_losses
from .channels import first_convolution_fits
from .findings import Findings
from .looking import evaluators_of, mapped_of
from .mapped import SampleCheck

__all__ = ["check_images", "quiet", "try_evaluation", "try_training"]

_SAMPLES = 2
_IMAGES = 64
_SECONDS = 2.0
_SHOWN = 3


def check_images(loader: Any, split: str, model: nn.Module, found: Findings) -> None:
    """Read some images of a data set through its mapper, spread over it: at most 64, for at most two seconds.
    What the mapper gives is compared with what the model takes.

    Images that are made and not read from files are left alone, and so are those of a loader that skips what
    cannot be read.
    """
    mapped = mapped_of(loader)
    if mapped is None or mapped.on_error == "skip":
        return
    mapped = _fresh(mapped)
    sample_check = SampleCheck(model, split, found)
    total = len(mapped)
    failed = looked = 0
    started = time.perf_counter()
    for index in _spread(total, _IMAGES):
        looked += 1
        try:
            record = mapped.dataset[index]
            if looked == 1 and "image" in record:
                return
            sample_check.look(mapped[index], record)
        except Exception as error:  # whatever a data set or a mapper of the user's raises
            failed += 1
            if failed <= _SHOWN:
                found.add_error(error, f"dataloader.{split}.dataset", _skipping(error, split))
        if time.perf_counter() - started > _SECONDS:
            break
    if failed > _SHOWN:
        found.add(f"dataloader.{split}.dataset", f"{failed} of the {looked} images looked at cannot be used")
    if looked < total:
        found.unjudged(f"{total - looked} of the {total} images of dataloader.{split}: {looked} were read")


def try_training(parts: Parts, settings: TrainSettings, device: torch.device, found: Findings) -> None:
    """Let two samples of the first batch through a copy of the model, in training mode, to its losses."""
    batch = _first_batch(parts.train_loader, "train", found)
    sample_check = SampleCheck(parts.model, "train", found)
    for sample in batch if isinstance(batch, list) else ():
        sample_check.look(sample)
    for number, hook in enumerate(parts.hooks or ()):
        if isinstance(hook, LateAugmentations):
            _try_late(hook, f"train.hooks.{number}", parts.train_loader, sample_check, found)
    # A sample that the model does not take would only fail once more
    model = None if batch is None or sample_check.told else _copy(parts.model, found)
    if model is None:
        return
    amp_dtype = settings.amp.autocast_dtype()
    model.train()
    if not first_convolution_fits(parts.model, model, batch, found):
        return
    try:
        with (
            EventStorage(),
            torch.autocast(device.type, amp_dtype, enabled=amp_dtype is not None),
            explain_errors(model),
        ):
            losses = model(batch)
            named = {"total_loss": losses} if isinstance(losses, Tensor) else losses
            total = sum_losses(named)
    except Exception as error:  # whatever a model of the user's raises
        found.add_error(error, "model, in training, with two samples of dataloader.train")
        return
    for name, value in named.items():
        if value.numel() != 1:
            found.add("model", f"the loss {name!r} has the shape {tuple(value.shape)}, expected one number")
        elif not math.isfinite(float(value.detach())):
            found.add(
                "model", f"the loss {name!r} is {float(value.detach())} with two samples of dataloader.train"
            )
    if not total.requires_grad:
        found.add("model", "its losses depend on no parameter that is trained (all frozen?)")
    elif idle := [name for name, value in named.items() if not value.requires_grad]:
        found.remark(f"nothing learns from {', '.join(idle)}: detached, or its part is frozen")


def try_evaluation(parts: Parts, settings: TrainSettings, found: Findings) -> None:
    """Let two test images through a copy of the model, its postprocessing and the evaluators."""
    batch = _first_batch(parts.test_loader, "test", found)
    model = None if batch is None else _copy(parts.model, found)
    if model is None:
        return
    if not first_convolution_fits(parts.model, model, batch, found):
        return
    if parts.class_mapping is not None:
        model = RenumberedClasses(model, parts.class_mapping)
    where = "model, at inference, with two images of dataloader.test"
    names: set[str] | None = set()
    try:
        with inference_context(model), explain_errors(model):
            outputs = model(batch)
        where = "dataloader.evaluator"
        with torch.inference_mode(), quiet("lazycfg.evaluation"):  # tables of two images
            for evaluator in evaluators_of(parts.evaluator):
                results = _try_evaluator(evaluator, batch, outputs)
                names = None if names is None or results is None else names | set(flatten_results(results))
    except Exception as error:  # whatever a model or an evaluator of the user's raises
        found.add_error(error, where)
        return
    _check_metrics(parts, settings, names, found)


def _try_late(
    hook: LateAugmentations, where: str, loader: Any, sample_check: SampleCheck, found: Findings
) -> None:
    """Map a sample as it will be mapped in the last part of the training."""
    try:
        mapper = hook.late_mapper(loader)
        mapped = _fresh(loader.dataset)
        mapped.set_late_mapper(mapper, 0)
        sample_check.look(mapped[0])
    except Exception as error:  # whatever an augmentation of the user's raises
        found.add_error(error, where)


def _try_evaluator(evaluator: Any, inputs: Any, outputs: Any) -> Mapping[str, Any] | None:
    """Let an evaluator take a batch; one of the user's without `try_out` is reset before and after."""
    if hasattr(evaluator, "try_out"):
        results: Mapping[str, Any] | None = evaluator.try_out(inputs, outputs)
        return results
    evaluator.reset()
    evaluator.process(inputs, outputs)
    evaluator.reset()
    return None


def _check_metrics(parts: Parts, settings: TrainSettings, names: set[str] | None, found: Findings) -> None:
    wanted = {"train.best_metric": settings.best_metric} if settings.best_metric else {}
    for number, hook in enumerate(parts.hooks or ()):
        if isinstance(hook, EarlyStopping):
            wanted[f"train.hooks.{number}.metric"] = hook.metric
    for path, metric in wanted.items():
        if names is None:
            found.unjudged(f"{path}: what the evaluator will report is not known before it has")
        elif metric not in names:
            known = sorted(name for name in names if "/AP-" not in name)
            found.add(
                path, f"no evaluation reports {metric!r}{closest(metric, names)} (known: {', '.join(known)})"
            )


def _copy(model: nn.Module, found: Findings) -> nn.Module | None:
    """Return a copy of a model to try: what forward changes in it (statistics, counters) is thrown away."""
    try:
        return copy.deepcopy(model)
    except Exception as error:  # whatever copying a part of the user's raises
        found.unjudged(f"the model with data: it cannot be copied ({type(error).__name__}: {error})")
        return None


def _first_batch(loader: Any, split: str, found: Findings) -> Any:
    """Return a few samples of the first batch as the model will get them; None if that is not possible."""
    try:
        batch = _taken(loader, split, found)
    except Exception as error:  # whatever a data set, a mapper or a loader of the user's raises
        found.add_error(error, f"dataloader.{split}", _skipping(error, split))
        return None
    if isinstance(batch, list):
        return batch[:_SAMPLES] or None
    return batch


def _skipping(error: BaseException, split: str) -> str:
    """Return the override with which a loader leaves out what cannot be read; empty for other errors."""
    return f"dataloader.{split}.on_error=skip" if isinstance(error, ImageError | OSError) else ""


def _taken(loader: Any, split: str, found: Findings) -> Any:
    mapped = mapped_of(loader)
    if mapped is not None and len(mapped) == 0:
        found.add(f"dataloader.{split}.dataset", "it holds no images")
        return None
    if isinstance(loader, TrainLoader) and not isinstance(loader.batches.sampler, Iterator):
        batches = copy.copy(loader.batches)
        batches.start = loader.position
        keys = next(iter(batches))[:_SAMPLES]
        return loader.collate_fn([_fresh(loader.dataset)[key] for key in keys])
    if mapped is not None and isinstance(loader, DataLoader) and loader.collate_fn is not None:
        samples: list[Any] = []
        fresh = _fresh(mapped)
        # One that cannot be read may be skipped by choice
        for index in chain.from_iterable(loader.batch_sampler or ()):  # type: ignore[arg-type]
            if fresh[index] is not None:
                samples.append(fresh[index])
            if len(samples) == _SAMPLES:
                break
        return loader.collate_fn(samples) if samples else None
    if isinstance(loader, Iterator):
        found.unjudged(
            f"a batch of dataloader.{split}: {type(loader).__name__} can be gone through only once"
        )
        return None
    with _generators_kept(loader):
        return next(iter(loader), None)


def _fresh(mapped: MapDataset) -> MapDataset:
    """Return the same mapped records with counters of their own, as they are mapped first."""
    return MapDataset(
        dataset=mapped.dataset,
        map_func=mapped.map_func,
        seed=mapped.seed,
        on_error=mapped.on_error,
        substitute=mapped.substitute,
        check=mapped.check,
    )


def _spread(total: int, count: int) -> Sequence[int]:
    """Return at most so many indices, from the first to the last."""
    return [int(i) for i in np.unique(np.linspace(0, total - 1, min(count, total)).round())] if total else []


@contextmanager
def _generators_kept(loader: Any) -> Iterator[None]:
    """Give the generators of a foreign loader back as they were."""
    holders = (loader, getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None))
    generators = [g for h in holders if isinstance(g := getattr(h, "generator", None), torch.Generator)]
    states = [generator.get_state() for generator in generators]
    position = loader.state_dict() if isinstance(loader, Stateful) else None
    try:
        with preserved_rng():
            yield
    finally:
        if isinstance(loader, Stateful):
            loader.load_state_dict(position)
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Let a logger of the library tell errors only, for the time of the block."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
