"""What happens around the steps of a training."""

from .base import HookBase
from .callback import CallbackHook
from .checkpoint import BestCheckpointer, PeriodicCheckpointer
from .early_stopping import EarlyStopping
from .evaluation import EvalHook, flatten_results
from .lr import LRScheduler
from .memory import TorchMemoryStats
from .profiler import TorchProfiler
from .timer import IterationTimer
from .writer import PeriodicWriter

__all__ = [
    "BestCheckpointer",
    "CallbackHook",
    "EarlyStopping",
    "EvalHook",
    "HookBase",
    "IterationTimer",
    "LRScheduler",
    "PeriodicCheckpointer",
    "PeriodicWriter",
    "TorchMemoryStats",
    "TorchProfiler",
    "flatten_results",
]
