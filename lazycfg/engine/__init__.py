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
from .hub import pull_from_hub, push_to_hub, save_for_hub
from .jobs import evaluate, train
from .launch import launch
from .log import setup_logger
from .predictor import Predictor
from .problems import PreflightError, Problem
from .run_lock import OutputDirInUseError
from .settings import SettingsError, TrainSettings
from .trackers import MLflowWriter, TrackerWriter, TrackioWriter, WandbWriter
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
    "MLflowWriter",
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
    "TrackerWriter",
    "TrackioWriter",
    "TrainSettings",
    "Trainer",
    "ValidationLoss",
    "WandbWriter",
    "create_ddp_model",
    "distributed_session",
    "evaluate",
    "launch",
    "pull_from_hub",
    "push_to_hub",
    "resolve_device",
    "save_for_hub",
    "seed_all",
    "setup_logger",
    "train",
]
