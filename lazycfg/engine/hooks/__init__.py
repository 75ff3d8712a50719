"""What happens around the steps of a training."""

from .base import HookBase
from .callback import CallbackHook
from .checkpoint import BestCheckpointer, PeriodicCheckpointer
from .early_stopping import EarlyStopping
from .evaluation import EvalHook, ResultsWriter, flatten_results
from .late_augmentations import LateAugmentations
from .lr import LRScheduler
from .memory import TorchMemoryStats
from .precise_bn import PreciseBN, update_bn_stats
from .profiler import TorchProfiler
from .timer import IterationTimer
from .validation_loss import ValidationLoss, validation_losses
from .writer import PeriodicWriter

__all__ = [
    "BestCheckpointer",
    "CallbackHook",
    "EarlyStopping",
    "EvalHook",
    "HookBase",
    "IterationTimer",
    "LRScheduler",
    "LateAugmentations",
    "PeriodicCheckpointer",
    "PeriodicWriter",
    "PreciseBN",
    "ResultsWriter",
    "TorchMemoryStats",
    "TorchProfiler",
    "ValidationLoss",
    "flatten_results",
    "update_bn_stats",
    "validation_losses",
]
