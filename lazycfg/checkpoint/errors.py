"""The errors of files of weights and of training states."""

__all__ = ["CheckpointError", "DownloadError", "MissingCheckpointError"]


class CheckpointError(ValueError):
    """A file of weights or of a training state cannot be used. The message names the file and what to do."""


class MissingCheckpointError(CheckpointError, FileNotFoundError):
    """A checkpoint, or a file of one, is not there."""


class DownloadError(CheckpointError):
    """Weights given by name cannot be had. The message says from where, why, and where to put them."""
