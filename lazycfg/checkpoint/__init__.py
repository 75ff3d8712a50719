"""Weights in and out: every file format of the field, and training states that resume exactly."""

from lazycfg.utils import UnsafeFileError

from .checkpointer import Checkpointer, RandomState, Stateful, save_weights
from .errors import CheckpointError, MissingCheckpointError
from .files import Weights, read_weights
from .folder import last_checkpoint, verify_checksums
from .loading import load_weights, unwrap
from .optimizer_state import OptimizerState
from .report import LoadReport, Mismatch, WeightsMismatchError

__all__ = [
    "CheckpointError",
    "Checkpointer",
    "LoadReport",
    "Mismatch",
    "MissingCheckpointError",
    "OptimizerState",
    "RandomState",
    "Stateful",
    "UnsafeFileError",
    "Weights",
    "WeightsMismatchError",
    "last_checkpoint",
    "load_weights",
    "read_weights",
    "save_weights",
    "unwrap",
    "verify_checksums",
]
