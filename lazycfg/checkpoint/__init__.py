"""Weights in and out: every file format of the field, and training states that resume exactly."""

from lazycfg.utils import UnsafeFileError

from .checkpointer import Checkpointer, RandomState, Stateful, save_weights
from .errors import CheckpointError
from .files import Weights, read_weights
from .loading import load_weights, unwrap
from .report import LoadReport, Mismatch, WeightsMismatchError

__all__ = [
    "CheckpointError",
    "Checkpointer",
    "LoadReport",
    "Mismatch",
    "RandomState",
    "Stateful",
    "UnsafeFileError",
    "Weights",
    "WeightsMismatchError",
    "load_weights",
    "read_weights",
    "save_weights",
    "unwrap",
]
