"""``DefaultTrainer(cfg)``: the parts of a config, translated, and `lazycfg.engine`'s step in the old loop."""

from __future__ import annotations

import logging
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import nn

from lazycfg.engine.labels import LabelCheck
from lazycfg.evaluation import DatasetEvaluator
from lazycfg.utils import get_world_size, is_main_process

from . import hooks
from .checkpoint import DetectionCheckpointer, unwrap
from .defaults import create_ddp_model, default_writers
from .evaluators import inference_on_dataset, print_csv_format, verify_results
from .loaders import build_detection_test_loader, build_detection_train_loader
from .logger import setup_logger
from .registries import build_model
from .solver import build_lr_scheduler, build_optimizer
from .trainers import AfterBackward, AMPTrainer, SimpleTrainer, TrainerBase

__all__ = ["DefaultTrainer"]

logger = logging.getLogger(__name__)


class DefaultTrainer(TrainerBase):
    """Trains what a config describes. Every ``build_...`` may be overridden, and `run_step` and `train`.

        trainer = DefaultTrainer(cfg)
        trainer.resume_or_load(resume=False)
        trainer.train()

    Into ``cfg.OUTPUT_DIR`` go ``metrics.json`` and checkpoints, ``model_final.pth`` at the end.

    Attributes:
        cfg, model, optimizer, data_loader, scheduler, checkpointer: what it works with.
    """

    def __init__(self, cfg: Any) -> None:
        super().__init__()
        if not logging.getLogger("detectron2").isEnabledFor(logging.INFO):
            setup_logger()
        cfg = self.auto_scale_workers(cfg, get_world_size())
        model = self.build_model(cfg)
        optimizer = self.build_optimizer(cfg, model)
        data_loader = self.build_train_loader(cfg)
        model = create_ddp_model(model, broadcast_buffers=False)
        cls = AMPTrainer if cfg.SOLVER.AMP.ENABLED else SimpleTrainer
        self._trainer = cls(model, data_loader, optimizer)
        self._trainer._engine.check_batch = LabelCheck(unwrap(model)).check
        self._trainer._engine.hooks[:] = [AfterBackward(self)]
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        self.checkpointer = DetectionCheckpointer(model, cfg.OUTPUT_DIR, trainer=weakref.proxy(self))
        self.start_iter = 0
        self.max_iter = cfg.SOLVER.MAX_ITER
        self.cfg = cfg
        self.register_hooks(self.build_hooks())

    # What belongs to the step is the inner trainer's

    @property
    def model(self) -> nn.Module:
        """Return the model, wrapped where there are several processes."""
        return self._trainer.model

    @model.setter
    def model(self, value: nn.Module) -> None:
        self._trainer.model = value

    @property
    def data_loader(self) -> Any:
        """Return the loader of the training data."""
        return self._trainer.data_loader

    @data_loader.setter
    def data_loader(self, value: Any) -> None:
        self._trainer.data_loader = value

    @property
    def optimizer(self) -> Any:
        """Return the optimizer."""
        return self._trainer.optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        self._trainer.optimizer = value

    def resume_or_load(self, resume: bool = True) -> None:
        """Go on from the last checkpoint in the folder if `resume` and there is one, else load
        ``cfg.MODEL.WEIGHTS`` and begin anew.
        """
        self.checkpointer.resume_or_load(self.cfg.MODEL.WEIGHTS, resume=resume)
        if resume and self.checkpointer.has_checkpoint():
            self.start_iter = self.iter + 1  # the checkpoint is of an iteration that was done

    def build_hooks(self) -> list[Any]:
        """Return the hooks: times, schedule, precise statistics, checkpoints, evaluation, writers."""
        cfg = self.cfg.clone()
        cfg.defrost()
        cfg.DATALOADER.NUM_WORKERS = 0  # a loader of its own for precise statistics
        result: list[Any] = [
            hooks.IterationTimer(),
            hooks.LRScheduler(),
            hooks.PreciseBN(
                cfg.TEST.EVAL_PERIOD, self.model, self.build_train_loader(cfg), cfg.TEST.PRECISE_BN.NUM_ITER
            )
            if cfg.TEST.PRECISE_BN.ENABLED
            else None,
        ]
        # Checkpoints before the evaluation, which may fail
        if is_main_process():
            result.append(hooks.PeriodicCheckpointer(self.checkpointer, cfg.SOLVER.CHECKPOINT_PERIOD))

        def test_and_save_results() -> Any:
            self._last_eval_results = self.test(self.cfg, self.model)
            return self._last_eval_results

        result.append(hooks.EvalHook(cfg.TEST.EVAL_PERIOD, test_and_save_results))
        if is_main_process():
            result.append(hooks.PeriodicWriter(self.build_writers(), period=20))
        return result

    def build_writers(self) -> list[Any]:
        """Return what writes to the log and to files."""
        return default_writers(self.cfg.OUTPUT_DIR, self.max_iter)

    def train(self) -> Any:  # type: ignore[override]
        """Train up to ``cfg.SOLVER.MAX_ITER``; return the results of the evaluation, if results are
        expected.
        """
        super().train(self.start_iter, self.max_iter)
        if len(self.cfg.TEST.EXPECTED_RESULTS) and is_main_process():
            if not hasattr(self, "_last_eval_results"):
                raise AssertionError("No evaluation results obtained during training!")
            verify_results(self.cfg, self._last_eval_results)
            return self._last_eval_results
        return None

    def run_step(self) -> None:
        """Take a step."""
        self._trainer.iter = self.iter
        self._trainer.run_step()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the hooks and of the step."""
        return {**super().state_dict(), "_trainer": self._trainer.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore them."""
        super().load_state_dict(state_dict)
        self._trainer.load_state_dict(state_dict["_trainer"])

    @classmethod
    def build_model(cls, cfg: Any) -> nn.Module:
        """Return the model of a config."""
        model = build_model(cfg)
        logger.info("Model:\n%s", model)
        return model

    @classmethod
    def build_optimizer(cls, cfg: Any, model: nn.Module) -> Any:
        """Return the optimizer of a config."""
        return build_optimizer(cfg, model)

    @classmethod
    def build_lr_scheduler(cls, cfg: Any, optimizer: Any) -> Any:
        """Return the schedule of a config."""
        return build_lr_scheduler(cfg, optimizer)

    @classmethod
    def build_train_loader(cls, cfg: Any) -> Any:
        """Return the loader of the training data of a config."""
        return build_detection_train_loader(cfg)

    @classmethod
    def build_test_loader(cls, cfg: Any, dataset_name: str) -> Any:
        """Return the loader of a data set for evaluation."""
        return build_detection_test_loader(cfg, dataset_name)

    @classmethod
    def build_evaluator(cls, cfg: Any, dataset_name: str) -> DatasetEvaluator:
        """Return the evaluator of a data set.

        Raises:
            NotImplementedError: a subclass has to say which.
        """
        raise NotImplementedError(
            "to evaluate in training, subclass DefaultTrainer and implement build_evaluator(cls, "
            "cfg, dataset_name)"
        )

    @classmethod
    def test(cls, cfg: Any, model: nn.Module, evaluators: Any = None) -> Any:
        """Evaluate a model on ``cfg.DATASETS.TEST``; return the results, by data set where there are several.

        Raises:
            ValueError: not as many evaluators as data sets.
        """
        if isinstance(evaluators, DatasetEvaluator):
            evaluators = [evaluators]
        names = cfg.DATASETS.TEST
        if evaluators is not None and len(names) != len(evaluators):
            raise ValueError(f"{len(names)} data sets and {len(evaluators)} evaluators")
        results: OrderedDict[str, Any] = OrderedDict()
        for index, name in enumerate(names):
            loader = cls.build_test_loader(cfg, name)
            if evaluators is not None:
                evaluator = evaluators[index]
            else:
                try:
                    evaluator = cls.build_evaluator(cfg, name)
                except NotImplementedError:
                    logger.warning(
                        "No evaluator found. Use `DefaultTrainer.test(evaluators=)`, or implement its "
                        "`build_evaluator` method."
                    )
                    results[name] = {}
                    continue
            found = inference_on_dataset(model, loader, evaluator)
            results[name] = found
            if is_main_process():
                if not isinstance(found, dict):
                    raise TypeError(f"evaluator must return a dict on the main process, got {found!r}")
                logger.info("Evaluation results for %s in csv format:", name)
                print_csv_format(found)
        return next(iter(results.values())) if len(results) == 1 else results

    @staticmethod
    def auto_scale_workers(cfg: Any, num_workers: int) -> Any:
        """Return a config with batch, rate and lengths for another number of processes than it was made for.

        That number is ``SOLVER.REFERENCE_WORLD_SIZE``; 0 leaves the config as it is.
        """
        written_for = cfg.SOLVER.REFERENCE_WORLD_SIZE
        if written_for in (0, num_workers):
            return cfg
        cfg = cfg.clone()
        frozen = cfg.is_frozen()
        cfg.defrost()
        scale = num_workers / written_for
        solver = cfg.SOLVER
        solver.IMS_PER_BATCH = round(solver.IMS_PER_BATCH * scale)
        solver.BASE_LR *= scale
        solver.MAX_ITER = round(solver.MAX_ITER / scale)
        solver.WARMUP_ITERS = round(solver.WARMUP_ITERS / scale)
        solver.STEPS = tuple(round(step / scale) for step in solver.STEPS)
        cfg.TEST.EVAL_PERIOD = round(cfg.TEST.EVAL_PERIOD / scale)
        solver.CHECKPOINT_PERIOD = round(solver.CHECKPOINT_PERIOD / scale)
        solver.REFERENCE_WORLD_SIZE = num_workers
        if frozen:
            cfg.freeze()
        return cfg
