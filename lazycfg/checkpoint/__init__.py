"""Load, convert and save weights, and save training states that resume exactly."""

from lazycfg.utils import UnsafeFileError

from .checkpointer import Checkpointer, RandomState, Stateful, save_weights
from .converting import Conversion, convert_weights, save_converted
from .download import local_weights
from .errors import CheckpointError, DownloadError, MissingCheckpointError
from .files import Weights, read_weights
from .folder import last_checkpoint, verify_checksums
from .loading import load_weights, unwrap
from .optimizer_state import OptimizerState
from .published import published_checkpoints, published_url
from .remote import remote_file, weights_cache
from .report import LoadReport, Mismatch, WeightsMismatchError

__all__ = [
    "CheckpointError",
    "Checkpointer",
    "Conversion",
    "DownloadError",
    "LoadReport",
    "Mismatch",
    "MissingCheckpointError",
    "OptimizerState",
    "RandomState",
    "Stateful",
    "UnsafeFileError",
    "Weights",
    "WeightsMismatchError",
    "convert_weights",
    "last_checkpoint",
    "load_weights",
    "local_weights",
    "published_checkpoints",
    "published_url",
    "read_weights",
    "remote_file",
    "save_converted",
    "save_weights",
    "unwrap",
    "verify_checksums",
    "weights_cache",
]
