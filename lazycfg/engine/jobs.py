"""The two jobs of a config: to train its model, and to evaluate it."""

import logging
import os
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from lazycfg.checkpoint import Checkpointer, RandomState, load_weights, local_weights, verify_checksums
from lazycfg.config.loading.load import load
from lazycfg.config.tree.node import Node
from lazycfg.layers import fuse as fold
from lazycfg.solver import LRMultiplier
from lazycfg.utils import (
    broadcast_object,
    is_main_process,
    remove_partial_files,
    shared_random_seed,
)

from .batch_stream import BatchStream, RankBuffers
from .build import Parts, as_config, read_settings
from .distributed import (
    check_same_config,
    create_ddp_model,
    cudnn_benchmark,
    distributed_session,
    resolve_device,
    seed_all,
)
from .evaluating import run_evaluation
from .from_data import with_values
from .hooks import (
    BestCheckpointer,
    EvalHook,
    HookBase,
    IterationTimer,
    LRScheduler,
    PeriodicCheckpointer,
    PeriodicWriter,
    ResultsWriter,
)
from .hooks.evaluation import write_results
from .labels import LabelCheck
from .log import RunLog, run_logging
from .preflight.findings import Findings
from .preflight.run import build_or_tell, check_config, compare, share, try_out
from .preflight.weights import load_initial, resume_or_load
from .progress_bar import ProgressBar
from .run_dir import check_output_dir, evaluation_dir, evaluator_into, save_config
from .run_lock import lock_folder
from .run_metadata import check_same_data, loader_metadata, metadata_of_weights, weights_metadata
from .run_record import command_line, finished_results, recorded_run
from .run_report import told
from .run_summary import log_run_summary
from .settings import SettingsError, TrainSettings
from .trackers.base import asked_writers, flat_config, make_writers
from .trainer import Trainer
from .writers import default_writers

__all__ = ["evaluate", "train"]

logger = logging.getLogger(__name__)


def train(
    cfg: Mapping[str, Any], *, resume: bool = False, load_file: Callable[[str], Any] = load
) -> dict[str, Any]:
    """Train the model of a config, and evaluate it.

    Under ``torchrun`` every process calls this. Into ``train.output_dir`` go the config, ``log.txt``,
    ``metrics.json`` (one JSON object a line), checkpoints, results and images of predictions.

    Args:
        cfg: has ``model``, ``dataloader``, ``optimizer``, ``lr_multiplier`` and ``train``; not changed.
        resume: go on from the last checkpoint in the output folder, if there is one, exactly as if the run
            had never stopped.
        load_file: reads the file that the config came from once more, to tell in ``run.json`` what was
            changed. A data file that needs trust is read by ``partial(LazyConfig.load, trusted=True)``.

    Returns:
        what the last evaluation found (empty without ``dataloader.evaluator``), and under ``"train"`` the
        last losses, ``"iterations"`` and ``"seconds"``.

    Raises:
        PreflightError: the run cannot work: all that is wrong with it, found before anything was trained or
            written; see docs/before-step-1.md.
        OutputDirInUseError: the output folder holds another run, and ``resume`` is false; or another run
            writes into it now.
        CheckpointError: the checkpoint to go on from is damaged, or of another training.
        SystemExit, KeyboardInterrupt: after SIGTERM, SIGHUP or Ctrl-C; a checkpoint was saved.
        FloatingPointError: a loss is not finite; names the loss, the iteration and the images.
    """
    cfg = as_config(cfg)
    found = check_config(cfg, training=True)
    found.raise_problems()
    settings = read_settings(cfg)
    device = resolve_device(settings.device)
    with distributed_session(device, timeout_minutes=settings.dist_timeout_minutes):
        check_same_config(cfg, resume=resume)
        with (
            lock_folder(settings.output_dir),
            run_logging(None) as log,
            cudnn_benchmark(settings.cudnn_benchmark),
        ):
            check_output_dir(settings.output_dir, resume=resume)
            return _train(cfg, settings, device, resume, found, log, load_file)


def evaluate(
    cfg: Mapping[str, Any],
    model: nn.Module | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    resume: bool = False,
    fuse: bool = False,
) -> dict[str, Any]:
    """Evaluate a model on ``cfg.dataloader.test`` with ``cfg.dataloader.evaluator``.

    Args:
        cfg: has ``dataloader.test``, ``dataloader.evaluator``, ``train`` and (unless given) ``model``; it is
            not changed. Log, results and images go to ``<train.output_dir>/evaluation/<name of weights>``
            (``..._2`` and so on, when there is one): nothing of the training is written over. What
            ``dataloader.evaluator.output_dir`` would write beside the training's results goes there too.
        model: a built model with its weights; ``cfg.model`` with loaded weights when left out.
        weights: a file of weights, or a name (see `local_weights`); when left out and no model is given,
            ``train.init_checkpoint``.
        resume: take the last checkpoint of the output folder instead.
        fuse: fold batch normalisations into convolutions (`lazycfg.layers.fuse`), in a copy of the model.
            It is faster, and the predictions differ in their last digits: not the default, so that the
            numbers are those that the training itself found.

    Returns:
        what the evaluator found, e.g. ``{"bbox": {"AP": 38.6, ...}, "segm": {...}}``.

    Raises:
        SettingsError: there are no weights to evaluate.
        PreflightError: all that is wrong with the evaluation, before it begins.
    """
    cfg = as_config(cfg)
    found = check_config(cfg, training=False, model=model)
    found.raise_problems()
    settings = read_settings(cfg)
    device = resolve_device(settings.device)
    given = model is not None
    if resume:
        weights = Checkpointer(nn.Identity(), settings.output_dir).get_checkpoint_file()
        verify_checksums(weights)
    elif weights is None and not given:
        weights = settings.init_checkpoint or None
    if weights is not None:
        weights = local_weights(weights)
    if weights is None and not given:
        raise SettingsError(
            "no weights to evaluate: set train.init_checkpoint=FILE, or pass --resume (resume=True) for "
            f"the last checkpoint in {settings.output_dir}"
        )
    with distributed_session(device, timeout_minutes=settings.dist_timeout_minutes):
        folder = evaluation_dir(settings.output_dir, weights)
        with run_logging(None) as log, lock_folder(folder):
            seed_all(settings.seed or 0)
            cfg = evaluator_into(cfg, settings.output_dir, folder)
            parts = build_or_tell(cfg, found, training=False, model=model)
            _to_device(parts.model, device, settings)
            if weights is not None:
                load_weights(parts.model, weights, ignore=() if resume else settings.init_ignore)
            if fuse:
                parts.model = fold(parts.model, inplace=not given)
            trained_on = None if weights is None else metadata_of_weights(weights)
            compare(cfg, parts, settings, found, training=False, trained_on=trained_on)
            try_out(parts, settings, device, found, training=False)
            log.open(folder)
            bar = ProgressBar(log, enabled=settings.progress_bar)
            with bar.shown():
                results = run_evaluation(parts, replace(settings, output_dir=folder), progress=bar.evaluating)
            write_results(results, folder)
            logger.info("results are in %s", folder)
            return results


def _train(
    cfg: Node,
    settings: TrainSettings,
    device: torch.device,
    resume: bool,
    found: Findings,
    log: RunLog,
    load_file: Callable[[str], Any],
) -> dict[str, Any]:
    started = time.perf_counter()
    seed = shared_random_seed() if settings.seed is None or settings.seed < 0 else settings.seed
    seed_all(seed)  # the same initial model in every process
    parts = build_or_tell(cfg, found, training=True)
    seed_all(seed, per_process=True)
    _to_device(parts.model, device, settings)
    compare(cfg, parts, settings, found, training=True)
    if found.problems and not resume:
        load_initial(parts.model, settings, found)
    share(found)
    metadata = loader_metadata(parts.train_loader)
    bar = ProgressBar(log, enabled=settings.progress_bar, window_size=settings.log_period)
    trainer, data, checkpointer = _trainer(
        parts,
        settings,
        weights_metadata(metadata),
        bar,
        lambda: flat_config(with_values(cfg, parts.from_data)),
    )
    log_run_summary(parts, settings, device)
    if resume and checkpointer.has_checkpoint():
        check_same_data(checkpointer.get_checkpoint_file(), metadata)
    extra = resume_or_load(checkpointer, settings, found, resume=resume)
    start_iter = extra.get("iteration", -1) + 1
    if start_iter >= settings.max_iter:
        logger.warning(
            "nothing is left to train: %d iterations are done and train.max_iter is %d. To go on: "
            "train.max_iter=%d, for example",
            start_iter,
            settings.max_iter,
            2 * start_iter,
        )
        results = broadcast_object(finished_results(settings.output_dir, start_iter))
        evaluated = parts.test_loader is not None and parts.evaluator is not None
        if results is not None and (results or not evaluated):
            logger.info(
                "the run came to its end before, and nothing is done again. To evaluate it: lazycfg eval %s",
                shlex.quote(settings.output_dir),
            )
            data.close()
            return {**results, "train": {"iterations": start_iter, "seconds": time.perf_counter() - started}}
    try_out(parts, settings, device, found, training=True)
    # From here on things are written
    log.open(settings.output_dir)
    if is_main_process() and (left := remove_partial_files(settings.output_dir)):
        logger.info("removed %d unfinished files of a run that was killed", len(left))
    changed = save_config(with_values(cfg, parts.from_data), settings.output_dir)
    if start_iter:
        logger.info("going on after %d of %d iterations", start_iter, settings.max_iter)
    record = recorded_run(
        cfg,
        parts,
        settings,
        trainer,
        start_iter=start_iter,
        changes=changed if resume else None,
        load_file=load_file,
    )
    with told(settings.output_dir), record:
        try:
            with bar.shown():
                trainer.train(start_iter)
        except (KeyboardInterrupt, SystemExit):
            if checkpointer.has_checkpoint():
                again = command_line("--resume") or "train(cfg, resume=True)"
                logger.info("to go on from the last checkpoint: %s", again)
            raise
        finally:
            data.close()
    latest = trainer.storage.latest()
    losses = {name: value for name, (value, _) in latest.items() if "loss" in name and "/" not in name}
    run = {**losses, "iterations": trainer.iter, "seconds": time.perf_counter() - started}
    return {**trainer.results, "train": run}


def _trainer(
    parts: Parts,
    settings: TrainSettings,
    metadata: Mapping[str, str],
    bar: ProgressBar,
    flat: Callable[[], Mapping[str, Any]],
) -> tuple[Trainer, BatchStream, Checkpointer]:
    """Return the trainer with all hooks, its data, and the checkpointer of everything that has a state."""
    model, optimizer = parts.model, parts.optimizer
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"cfg.optimizer must build a torch optimizer, got {type(optimizer).__name__}")
    data = BatchStream(parts.train_loader)
    trainer = Trainer(
        model=create_ddp_model(model, **settings.ddp),
        data=data,
        optimizer=optimizer,
        max_iter=settings.max_iter,
        amp_dtype=settings.amp.autocast_dtype(),
        clip_grad=parts.clip_grad,
        accumulate=settings.accumulate,
        log_period=settings.log_period,
        check_batch=LabelCheck(model).check,
    )
    checkpointer = Checkpointer(
        model,
        settings.output_dir,
        max_to_keep=settings.checkpointer.max_to_keep,
        metadata=metadata,
        optimizer=optimizer,
        grad_scaler=trainer.grad_scaler,
        data=data,
        trainer=trainer,
        buffers=RankBuffers(model),
        random=RandomState(),
    )
    hooks: list[HookBase] = [IterationTimer(), bar]
    if parts.lr_multiplier is not None:
        hooks.append(LRScheduler(LRMultiplier(optimizer, parts.lr_multiplier, settings.max_iter)))
    own = list(parts.hooks or ())
    hooks += [hook for hook in own if not getattr(hook, "after_evaluation", False)]
    # Saved before evaluating, which may fail; an evaluation that is then due is made up for by a resumed run
    hooks.append(PeriodicCheckpointer(checkpointer, settings.checkpointer.period))
    if parts.test_loader is not None and parts.evaluator is not None:
        signal_of = trainer.interruption
        hooks.append(
            EvalHook(
                settings.eval_period,
                lambda: run_evaluation(
                    parts, settings, should_stop=lambda: signal_of.signal, progress=bar.evaluating
                ),
            )
        )
        if settings.best_metric:
            hooks.append(BestCheckpointer(settings.output_dir, settings.best_metric, metadata=metadata))
    hooks += [hook for hook in own if getattr(hook, "after_evaluation", False)]
    hooks.append(ResultsWriter(settings.output_dir))
    writers = default_writers(settings.output_dir, log_period=settings.log_period)
    asked = make_writers(asked_writers(parts, settings), settings.output_dir, log_period=settings.log_period)
    hooks.append(PeriodicWriter([*writers, *asked], settings.output_dir, flat if asked else None))
    trainer.register_hooks(hooks)
    return trainer, data, checkpointer


def _to_device(model: nn.Module, device: torch.device, settings: TrainSettings) -> None:
    if settings.channels_last:
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    else:
        model.to(device)
