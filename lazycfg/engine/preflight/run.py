"""The order in which a run is looked at: its config, what it builds, then a few samples."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from lazycfg.config.building.problems import CheckError
from lazycfg.config.building.problems import Problem as ConfigProblem
from lazycfg.config.tree.containers import children
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.paths import format_path
from lazycfg.utils import all_gather, get_world_size

from ..build import Parts, build_parts, check_parts, errors_of_parts, read_settings
from ..distributed import preserved_rng, resolve_device
from ..hooks.base import HookBase
from ..problems import PreflightError, Problem, SettingsError
from ..settings import TrainSettings
from .classes import compare_data_sets, compare_with_model
from .findings import Findings
from .folder import check_folder, check_space
from .looking import metadata_of, stored
from .names import name_problems, name_remarks, repeated_calls
from .parts import check_parts as check_built_parts
from .parts import schedule_problem
from .samples import (
    check_evaluated_data,
    check_formats,
    check_image_sizes,
    check_sigmas,
    check_test_augmentations,
    check_training_mapper,
    remark_on_same_data,
    remark_on_test_data,
)
from .trial import check_images, quiet, try_evaluation, try_training
from .values import check_values

__all__ = ["build_or_tell", "check_config", "check_written", "compare", "config_problem", "share", "try_out"]

logger = logging.getLogger(__name__)


def check_config(cfg: Node, *, training: bool, model: nn.Module | None = None) -> Findings:
    """Look at a config, and build nothing of it.

    Args:
        cfg: of the run.
        training: whether it is to be trained, or only evaluated.
        model: takes the place of ``cfg.model``.
    """
    found = Findings(cfg=cfg)
    found.problems += name_problems(cfg)
    found.remarks += [*name_remarks(cfg), *repeated_calls(cfg)]
    try:
        resolve_device(read_settings(cfg).device)
    except (SettingsError, CheckError) as error:
        _add(cfg, error, found)
    try:
        check_parts(cfg, training=training, model=model)
    except (SettingsError, CheckError) as error:
        _add(cfg, error, found)
    if training:
        check_written(cfg, found)
    return found


def check_written(cfg: Node, found: Findings) -> None:
    """Look at values that can be judged as they are written."""
    schedule = dict.get(cfg, "lr_multiplier")
    if isinstance(schedule, int | float) and (told := schedule_problem(schedule)) is not None:
        found.add("lr_multiplier", *told)
    path = "dataloader.train.total_batch_size"
    size = stored(cfg, path)
    if isinstance(size, int | float) and (type(size) is not int or size < 1):
        found.add(path, f"{path}={size!r}: expected a whole number of at least 1")
    hooks = stored(cfg, "train.hooks")
    for number, hook in enumerate(hooks if isinstance(hooks, list | tuple) else ()):
        if not isinstance(hook, HookBase | Node) and not (isinstance(hook, str) and "${" in hook):
            said = f"{hook!r} is no hook: expected a call of a class of HookBase"
            found.add(f"train.hooks.{number}", said, f"~train.hooks.{number}")


def _add(cfg: Node, error: Exception, found: Findings) -> None:
    if isinstance(error, CheckError):
        found.problems += [config_problem(cfg, problem) for problem in error.problems]
        found.first_error = found.first_error or error
    elif isinstance(error, PreflightError):
        found.problems += error.problems
    else:
        found.add("", str(error))


def config_problem(cfg: Node, problem: ConfigProblem) -> Problem:
    """Return a problem of a config; a value that is to be filled in is named where it stands."""
    path = format_path(problem.path)
    if problem.kind == "required":
        value = stored(cfg, path)
        while isinstance(value, str) and value.startswith("${") and value.endswith("}") and ":" not in value:
            path = value[2:-1]
            if path.startswith("."):
                break
            value = stored(cfg, path)
        if not path.startswith("."):
            return Problem(path, "it is to be filled in", f"{path}=...")
    return Problem("", str(problem))


def build_or_tell(cfg: Node, found: Findings, *, training: bool, model: nn.Module | None = None) -> Parts:
    """Build the parts; where that fails, build each by itself to tell all that is wrong.

    Raises:
        PreflightError: something could not be built.
    """
    parts = Parts(model=nn.Identity())
    try:
        parts = build_parts(cfg, training=training, model=model, check_classes=False)  # `compare` does
    except Exception as error:  # whatever a part of the user's raises
        found.add_error(error)
        if get_world_size() == 1:  # the others may wait in a call that all make together
            with preserved_rng(), quiet("lazycfg"):  # what it logs was logged before
                for other in errors_of_parts(cfg, training=training, model=model):
                    found.add_error(other)
        found.problems = [_with_heads(cfg, _in_dataloader(cfg, problem)) for problem in found.problems]
    share(found)
    return parts


def _in_dataloader(cfg: Node, problem: Problem) -> Problem:
    """Return a problem of a data set with the place that it has in a loader, when another part shares it."""
    if not problem.where or problem.where.startswith("dataloader"):
        return problem
    culprit = stored(cfg, problem.where)
    work: list[tuple[tuple[Any, ...], Any]] = [(("dataloader",), dict.get(cfg, "dataloader"))]
    while work:
        path, value = work.pop()
        if value is culprit and value is not None:
            place = format_path(path)
            return replace(problem, where=place, remedy=problem.remedy.replace(problem.where, place))
        work += [((*path, key), child) for key, child in children(value) or ()]
    return problem


_HEADS = {"mapper.use_instance_mask=false": "mask_head", "mapper.use_keypoint=false": "keypoint_head"}


def _with_heads(cfg: Node, problem: Problem) -> Problem:
    """Add to a remedy that gives up masks or keypoints the heads that cannot do without them."""
    heads = [head for override, head in _HEADS.items() if override in problem.remedy]
    paths = [path for head in heads for path in _places_of(cfg, head)]
    return replace(problem, remedy=" ".join([problem.remedy, *(f"{path}=null" for path in paths)]))


def _places_of(cfg: Node, name: str) -> list[str]:
    """Return the paths in the model of what has a name and is not None."""
    paths = []
    work: list[tuple[tuple[Any, ...], Any]] = [(("model",), dict.get(cfg, "model"))]
    while work:
        path, value = work.pop()
        for key, child in children(value) or ():
            if key == name and child is not None:
                paths.append(format_path((*path, key)))
            work.append(((*path, key), child))
    return paths


def share(found: Findings) -> None:
    """Raise what any process has found, in all of them.

    Raises:
        PreflightError: the problems of all processes.
    """
    if get_world_size() > 1:
        gathered = all_gather(found.problems)
        found.problems = [problem for problems in gathered for problem in problems]
    found.raise_problems()


def compare(
    cfg: Node,
    parts: Parts,
    settings: TrainSettings,
    found: Findings,
    *,
    training: bool,
    trained_on: Any = None,
) -> None:
    """Look at what was built, and compare model, data and evaluation. Sets ``parts.class_mapping``.

    Args:
        cfg: where the parts were written.
        parts: of the run.
        settings: of the run.
        found: takes in what is wrong.
        training: whether to look at the training too.
        trained_on: metadata of the data that the weights were trained on; where left out, the training
            loader's.
    """
    loaders = _loaders(parts, training=training)
    if trained_on is None and training:
        trained_on = metadata_of(parts.train_loader)
    with preserved_rng():
        _guarded(found, check_formats, parts.model, loaders, found)
        _guarded(found, check_image_sizes, loaders, found)
        check_values(parts.model, found)
        if training:
            check_built_parts(parts, settings, found)
            check_folder(settings, found)
            if isinstance(parts.optimizer, torch.optim.Optimizer):
                check_space(settings, parts.model, parts.optimizer, found)
            _guarded(found, check_training_mapper, cfg, parts.model, parts.train_loader, found)
        split = "train" if training else "test"
        if split in loaders and (training or trained_on is None):
            more = settings.extra_classes
            _guarded(
                found,
                compare_with_model,
                cfg,
                parts.model,
                loaders[split],
                found,
                split=split,
                extra_classes=more,
            )
        if "test" in loaders:
            if trained_on is None:
                found.unjudged("classes of dataloader.test: what the model was trained on is not known")
            else:
                parts.class_mapping = _guarded(
                    found,
                    compare_data_sets,
                    parts.model,
                    trained_on,
                    parts.test_loader,
                    found,
                    training=training,
                )
            _guarded(found, check_evaluated_data, cfg, parts.evaluator, parts.test_loader, found)
            check_sigmas(parts.model, parts.evaluator, found)
            _guarded(found, check_test_augmentations, parts.test_loader, found)
            if training:
                remark_on_same_data(parts.train_loader, parts.test_loader, found)
            _guarded(found, remark_on_test_data, parts.evaluator, parts.test_loader, found)


def try_out(
    parts: Parts, settings: TrainSettings, device: torch.device, found: Findings, *, training: bool
) -> None:
    """Let a few samples through data, model and evaluation, and raise all that was found.

    What is drawn and counted meanwhile is given back as it was: the training is the same with and without.

    Args:
        parts: of the run; the model is on its device, with the weights that it begins with.
        settings: of the run.
        device: of the model.
        found: what was found so far; takes in what is wrong.
        training: whether to try the training too.

    Raises:
        PreflightError: all that is wrong.
    """
    started = time.perf_counter()
    loaders = _loaders(parts, training=training)
    if settings.preflight:
        logger.info("trying two samples of each data set (train.preflight=false leaves that out) ...")
        with preserved_rng():
            for split, loader in loaders.items():
                _guarded(found, check_images, loader, split, parts.model, found)
    share(found)
    if settings.preflight:
        with preserved_rng():
            if training:
                try_training(parts, settings, device, found)
            if "test" in loaders:
                try_evaluation(parts, settings, found)
        share(found)
    else:
        found.unjudged("whether samples go through data, model and evaluation: train.preflight is false")
    _log(found, time.perf_counter() - started)


def _loaders(parts: Parts, *, training: bool) -> dict[str, Any]:
    loaders = {"train": parts.train_loader} if training else {}
    if parts.test_loader is not None and parts.evaluator is not None:
        loaders["test"] = parts.test_loader
    return loaders


def _guarded(found: Findings, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a part of the preflight; what a data set of the user's raises meanwhile is a problem too."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        found.add_error(error, "dataloader")
        return None


def _log(found: Findings, seconds: float) -> None:
    for remark in found.remarks:
        logger.warning("%s", remark)
    for text in found.not_looked_at:
        logger.info("not looked at: %s", text)
    logger.info("nothing wrong was found beforehand, in %.1f s", seconds)
