"""Training, evaluation and prediction: ``train(cfg)``, ``evaluate(cfg)``, `Predictor`."""

from .batch_stream import BatchStream
from .distributed import create_ddp_model, distributed_session, resolve_device, seed_all
from .hooks import (
    BestCheckpointer,
    CallbackHook,
    EarlyStopping,
    EvalHook,
    HookBase,
    IterationTimer,
    LateAugmentations,
    LRScheduler,
    PeriodicCheckpointer,
    PeriodicWriter,
    PreciseBN,
    TorchMemoryStats,
    TorchProfiler,
    ValidationLoss,
)
from .jobs import evaluate, train
from .predictor import Predictor
from .problems import PreflightError, Problem
from .run_lock import OutputDirInUseError
from .settings import SettingsError, TrainSettings
from .trainer import Trainer
from .writers import CommonMetricPrinter, EventWriter, JSONWriter, TensorboardWriter

__all__ = [
    "BatchStream",
    "BestCheckpointer",
    "CallbackHook",
    "CommonMetricPrinter",
    "EarlyStopping",
    "EvalHook",
    "EventWriter",
    "HookBase",
    "IterationTimer",
    "JSONWriter",
    "LRScheduler",
    "LateAugmentations",
    "OutputDirInUseError",
    "PeriodicCheckpointer",
    "PeriodicWriter",
    "PreciseBN",
    "Predictor",
    "PreflightError",
    "Problem",
    "SettingsError",
    "TensorboardWriter",
    "TorchMemoryStats",
    "TorchProfiler",
    "TrainSettings",
    "Trainer",
    "ValidationLoss",
    "create_ddp_model",
    "distributed_session",
    "evaluate",
    "resolve_device",
    "seed_all",
    "train",
]
