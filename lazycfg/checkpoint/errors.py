"""The errors of files of weights and of training states."""

__all__ = ["CheckpointError", "DownloadError", "MissingCheckpointError"]


class CheckpointError(ValueError):
    """Raised if a weights file or training state cannot be used; the message names file and remedy."""


class MissingCheckpointError(CheckpointError, FileNotFoundError):
    """Raised if a checkpoint, or a file of one, is missing."""


class DownloadError(CheckpointError):
    """Raised if weights cannot be downloaded; the message says from where, why, and where to put them."""
